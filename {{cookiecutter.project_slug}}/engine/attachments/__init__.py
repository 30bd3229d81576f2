"""What becomes of files that people attach: the project's kind, and the routes that it needs."""

from fastapi import APIRouter

from engine.attachments.base import Attachments

# {%- if cookiecutter.attachments == "local" +%}
from engine.attachments.local import LocalAttachments

# {%- endif +%}
# {%- if cookiecutter.attachments != "none" +%}
from engine.attachments.routes import router as links

# {%- endif +%}
# {%- if cookiecutter.attachments == "s3" +%}
from engine.attachments.s3 import S3Attachments

# {%- endif +%}
# {%- if ",documents," in cookiecutter.__tools +%}
from engine.attachments.types import DOCX

# {%- endif +%}
# {%- if cookiecutter.attachments == "local" +%}
from engine.attachments.upload import router as uploads

# {%- endif +%}

KINDS: tuple[type[Attachments], ...] = (
    # The first one is used.
    # {% if cookiecutter.attachments == "local" %}
    LocalAttachments,
    # {% endif %}
    # {% if cookiecutter.attachments == "s3" %}
    S3Attachments,
    # {% endif %}
    # {% if cookiecutter.attachments == "none" %}
    Attachments,
    # {% endif %}
)

# Types that are taken because a tool reads them, though no model does.
MORE_TYPES: tuple[str, ...] = (
    # {% if ",documents," in cookiecutter.__tools %}
    DOCX,
    # {% endif %}
    # More to read, more to name.
)

ROUTERS: tuple[APIRouter, ...] = (
    # {% if cookiecutter.attachments != "none" %}
    links,
    # {% endif %}
    # {% if cookiecutter.attachments == "local" %}
    uploads,
    # {% endif %}
    # Paths of your own go here.
)
