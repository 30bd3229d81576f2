"""How people sign in: a class of `engine.auth`, or your own."""

# {% if cookiecutter.auth_style == "anonymous" %}
from engine.auth.anonymous.sign_in import AnonymousAuth

# {% endif %}
# {% if cookiecutter.auth_style == "jwt" %}
from engine.auth.jwt import JwtAuth

# {% endif %}
# {% if cookiecutter.auth_style == "oidc" %}
from engine.auth.oidc.sign_in import OidcAuth

# {% endif %}
# {% if cookiecutter.auth_style == "password" %}
from engine.auth.password.sign_in import PasswordAuth

# {% endif %}
# {% if cookiecutter.auth_style == "proxy" %}
from engine.auth.proxy.sign_in import ProxyAuth

# {% endif %}
# {% if cookiecutter.auth_style == "anonymous" %}
SignIn = AnonymousAuth
# {% endif %}
# {% if cookiecutter.auth_style == "jwt" %}
SignIn = JwtAuth
# {% endif %}
# {% if cookiecutter.auth_style == "oidc" %}
SignIn = OidcAuth
# {% endif %}
# {% if cookiecutter.auth_style == "password" %}
SignIn = PasswordAuth
# {% endif %}
# {% if cookiecutter.auth_style == "proxy" %}
SignIn = ProxyAuth
# {% endif %}
