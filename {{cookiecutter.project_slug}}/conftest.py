"""Fixtures for every suite of the project: the owner's, the engine's, and that of `dev`."""

pytest_plugins = (
    "engine.tests.fixtures",
    "engine.tests.garbage",
    "engine.tests.agent.fixtures",
    "engine.tests.usage.fixtures",
    # {% if cookiecutter.attachments != "none" %}
    "engine.tests.attachments.fixtures",
    # {% endif %}
    # {% if ",sql," in cookiecutter.__tools %}
    "engine.tests.toolkits.sql.fixtures",
    # {% endif %}
)
