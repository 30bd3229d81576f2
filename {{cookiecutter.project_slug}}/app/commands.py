"""What `python -m app` has for the operator.

By the names of modules, each with `add_parser(commands)` and `run(options)`, which import only the
standard library until they run.
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
