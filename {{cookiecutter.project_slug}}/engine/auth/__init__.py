"""The project's auth style."""

from collections.abc import Awaitable, Callable

# {% if cookiecutter.auth_style == "anonymous" %}
from engine.auth.anonymous import AnonymousAuth

# {%- endif %}
# {% if cookiecutter.auth_style == "jwt" %}
from engine.auth.jwt import JwtAuth

# {%- endif %}
# {% if cookiecutter.auth_style == "oidc" %}
from engine.auth.oidc import OidcAuth

# {%- endif %}
# {% if cookiecutter.auth_style == "password" %}
from engine.auth.password import PasswordAuth

# {%- endif %}
# {% if cookiecutter.auth_style == "proxy" %}
from engine.auth.proxy import ProxyAuth

# {%- endif %}
# {%- if cookiecutter.auth_style != "jwt" +%}
from engine.auth.same_origin import SameOrigin

# {%- endif +%}
from engine.settings.settings import Settings

STYLES = (
    # The first one signs users in.
    # {% if cookiecutter.auth_style == "anonymous" %}
    AnonymousAuth,
    # {% endif %}
    # {% if cookiecutter.auth_style == "jwt" %}
    JwtAuth,
    # {% endif %}
    # {% if cookiecutter.auth_style == "oidc" %}
    OidcAuth,
    # {% endif %}
    # {% if cookiecutter.auth_style == "password" %}
    PasswordAuth,
    # {% endif %}
    # {% if cookiecutter.auth_style == "proxy" %}
    ProxyAuth,
    # {% endif %}
)

CHECKS: tuple[Callable[[Settings], Callable[..., Awaitable[None]]], ...] = (
    # What every request has to pass before its route is asked.
    # {% if cookiecutter.auth_style == "jwt" %}
    # (No page but the one that has the token can send it, as it could with a cookie: so none.)
    # {% endif %}
    # {% if cookiecutter.auth_style != "jwt" %}
    SameOrigin,
    # {% endif %}
)
