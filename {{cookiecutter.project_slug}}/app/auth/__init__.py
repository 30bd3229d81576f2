"""The project's auth style."""

# {% if cookiecutter.auth_style == "anonymous" %}
from app.auth.anonymous import AnonymousAuth

# {%- endif %}
# {% if cookiecutter.auth_style == "jwt" %}
from app.auth.jwt import JwtAuth

# {%- endif +%}

STYLES = (
    # The first one signs users in.
    # {% if cookiecutter.auth_style == "anonymous" %}
    AnonymousAuth,
    # {% endif %}
    # {% if cookiecutter.auth_style == "jwt" %}
    JwtAuth,
    # {% endif %}
)
