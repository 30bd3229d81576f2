"""What chosen options add to the proofs, by the names of modules."""

SMOKE_CHECKS: tuple[str, ...] = (
    # Each has `NAME` and `check(url, database_url)`, which raises `SmokeFailure`.
    # {% if cookiecutter.auth_style == "password" %}
    "dev.smoke_sign_in",
    # {% endif %}
)

SMOKE_USERS: tuple[str, ...] = (
    # Each has `HOW` and `sign_in(url)`, which returns two users' request headers, or none.
    # {% if cookiecutter.auth_style == "password" %}
    "dev.smoke_sign_in",
    # {% endif %}
)

DOCTOR_CHECKS: tuple[str, ...] = (
    # Each has `NAME` and `check()`, which returns a `Finding`.
    # {% if cookiecutter.attachments != "none" %}
    "dev.doctor_pictures",
    # {% endif %}
    # {% if cookiecutter.attachments == "s3" %}
    "dev.doctor_s3",
    # {% endif %}
    # {% if cookiecutter.auth_style == "oidc" %}
    "dev.doctor_openid",
    # {% endif %}
    # {% if cookiecutter.host_page == "nextjs" %}
    "dev.doctor_nextjs",
    # {% endif %}
)

COMPANIONS: tuple[str, ...] = (
    # Each has `beside(host, port)`, a context in which something runs beside `python -m app dev`.
    # {% if cookiecutter.host_page == "nextjs" %}
    "dev.nextjs",
    # {% endif %}
)
