"""Modules that chosen options add to development."""

COMPANIONS: tuple[str, ...] = (
    # Each has `beside(host, port)`, a context in which something runs beside `python3 -m app dev`,
    # and for the doctor `NAME` and `check()`, which returns a `Finding`.
    # {% if cookiecutter.host_page == "nextjs" %}
    "dev.nextjs",
    # {% endif %}
)
