"""What `python -m app` has for the operator, and what chosen options add to its proofs.

By the names of modules that only import the standard library: setup runs before anything else is
installed.
"""

COMMANDS: tuple[str, ...] = (
    # Each has `add_parser(commands)` and `run(options)`.
    "engine.operate.commands.usage",
    # {% if ",knowledge," in cookiecutter.__tools %}
    "engine.operate.commands.knowledge",
    # {% endif %}
    # {% if cookiecutter.auth_style == "password" %}
    "engine.operate.commands.users",
    # {% endif %}
)

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
