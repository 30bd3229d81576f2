"""The operator's commands of `python3 -m app`, as a list of modules.

Each module has `add_parser(commands)` and `run(options)`, and imports only the standard library
before `run`.
"""

COMMANDS: tuple[str, ...] = (
    "engine.operate.commands.migrate",
    "engine.operate.commands.migration",
    "engine.operate.commands.update",
    "engine.operate.commands.doctor",
    "engine.operate.commands.smoke",
    "engine.operate.commands.usage",
    "engine.operate.commands.feedback",
    "engine.operate.commands.privacy",
    # {% if ",knowledge," in cookiecutter.__tools %}
    "engine.operate.commands.knowledge",
    # {% endif %}
    # {% if cookiecutter.auth_style == "password" %}
    "engine.operate.commands.users",
    # {% endif %}
    # Your own commands.
)

DOCTOR_CHECKS: tuple[str, ...] = (
    # More checks of `doctor`. Each has `NAME` and `check()`, which returns a `Finding`.
    # {% if cookiecutter.attachments != "none" %}
    "engine.attachments.doctor",
    # {% endif %}
    # {% if cookiecutter.attachments == "s3" %}
    "engine.attachments.s3.doctor",
    # {% endif %}
    # {% if cookiecutter.auth_style == "oidc" %}
    "engine.auth.oidc.doctor",
    # {% endif %}
    # {% if cookiecutter.__models == "litellm" %}
    "engine.models.litellm.doctor",
    # {% endif %}
    # Your own checks.
)

SMOKE_CHECKS: tuple[str, ...] = (
    # More checks of `smoke`. Each has `NAME` and `check(application, url, database_url)`, which raises
    # `SmokeFailure`; a way to sign in has `HOW` and `sign_in(url)`, which returns two users' request headers, or none.
    "engine.operate.smoke_erasure",
    # {% if cookiecutter.auth_style == "password" %}
    "engine.operate.smoke_sign_in",
    # {% endif %}
    # Your own checks.
)
