"""How people sign in."""

# {% if cookiecutter.auth_style == "anonymous" %}
from engine.auth.anonymous import AnonymousAuth as SignIn

# {% endif %}
# {% if cookiecutter.auth_style == "jwt" %}
from engine.auth.jwt import JwtAuth as SignIn

# {% endif %}
# {% if cookiecutter.auth_style == "oidc" %}
from engine.auth.oidc import OidcAuth as SignIn

# {% endif %}
# {% if cookiecutter.auth_style == "password" %}
from engine.auth.password import PasswordAuth as SignIn

# {% endif %}
# {% if cookiecutter.auth_style == "proxy" %}
from engine.auth.proxy import ProxyAuth as SignIn

# {% endif %}
__all__ = ["SignIn"]
