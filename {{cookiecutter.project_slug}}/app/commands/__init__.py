"""What the chosen options add to `python -m app`.

By the names of modules that only import the standard library: setup runs before anything else is
installed.
"""

COMMANDS: tuple[str, ...] = (
    # Each has `add_parser(commands)` and `run(options)`.
    # {% if ",knowledge," in cookiecutter.__tools %}
    "app.commands.knowledge",
    # {% endif %}
)
