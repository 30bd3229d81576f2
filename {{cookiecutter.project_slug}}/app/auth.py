"""How people sign in."""

from engine import Authenticator, Settings

# {%- if cookiecutter.auth_style == "anonymous" +%}
from engine.auth.anonymous.sign_in import AnonymousAuth

# {%- endif +%}
# {%- if cookiecutter.auth_style == "jwt" +%}
from engine.auth.jwt.sign_in import JwtAuth

# {%- endif +%}
# {%- if cookiecutter.auth_style == "oidc" +%}
from engine.auth.oidc.sign_in import OidcAuth

# {%- endif +%}
# {%- if cookiecutter.auth_style == "password" +%}
from engine.auth.password.sign_in import PasswordAuth

# {%- endif +%}
# {%- if cookiecutter.auth_style == "proxy" +%}
from engine.auth.proxy.sign_in import ProxyAuth

# {%- endif +%}
from engine.rows import Database


def sign_in(settings: Settings, database: Database) -> Authenticator:
    """Called once for each process. Return a class of `engine.auth`, or one of your own."""
    # {% if cookiecutter.auth_style == "anonymous" %}
    return AnonymousAuth(settings, database)
    # {% endif %}
    # {% if cookiecutter.auth_style == "jwt" %}
    return JwtAuth(settings, database)
    # {% endif %}
    # {% if cookiecutter.auth_style == "oidc" %}
    return OidcAuth(settings, database)
    # {% endif %}
    # {% if cookiecutter.auth_style == "password" %}
    return PasswordAuth(settings, database)
    # {% endif %}
    # {% if cookiecutter.auth_style == "proxy" %}
    return ProxyAuth(settings, database)
    # {% endif %}
