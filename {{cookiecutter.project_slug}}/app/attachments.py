"""What becomes of files that people attach."""

# {% if cookiecutter.attachments == "none" %}
from engine.attachments.base import Attachments as NoAttachments

# {% endif %}
# {% if cookiecutter.attachments == "local" %}
from engine.attachments.local.storage import LocalAttachments

# {% endif %}
# {% if cookiecutter.attachments == "s3" %}
from engine.attachments.s3.storage import S3Attachments

# {% endif %}
# {% if cookiecutter.attachments == "local" %}
Attachments = LocalAttachments
# {% endif %}
# {% if cookiecutter.attachments == "none" %}
Attachments = NoAttachments
# {% endif %}
# {% if cookiecutter.attachments == "s3" %}
Attachments = S3Attachments
# {% endif %}
