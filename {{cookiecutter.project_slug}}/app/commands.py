"""The operator's commands of `python -m app`, as a list of modules.

Each module has `add_parser(commands)` and `run(options)`, and imports only the standard library
before `run`.
"""

COMMANDS: tuple[str, ...] = (
    "engine.operate.commands.migrate",
    "engine.operate.commands.usage",
    # {% if ",knowledge," in cookiecutter.__tools %}
    "engine.operate.commands.knowledge",
    # {% endif %}
    # {% if cookiecutter.auth_style == "password" %}
    "engine.operate.commands.users",
    # {% endif %}
)
