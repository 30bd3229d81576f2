"""What becomes of files that people attach."""

# {% if cookiecutter.attachments == "none" %}
from engine.attachments.base import Attachments

# {% endif %}
# {% if cookiecutter.attachments == "local" %}
from engine.attachments.local import LocalAttachments as Attachments

# {% endif %}
# {% if cookiecutter.attachments == "s3" %}
from engine.attachments.s3 import S3Attachments as Attachments

# {% endif %}
__all__ = ["Attachments"]
