"""Where the files are kept that people attach."""

from collections.abc import Sequence

from engine import Settings

# {%- if cookiecutter.attachments == "local" +%}
from engine.attachments.local.storage import LocalAttachments

# {%- endif +%}
# {%- if cookiecutter.attachments == "s3" +%}
from engine.attachments.s3.storage import S3Attachments

# {%- endif +%}
from engine.attachments.service import FileAttachments
from engine.rows import Database


def attachments(
    settings: Settings, database: Database, more_types: Sequence[str]
) -> FileAttachments:
    """Called once for each process. `more_types` are MIME types that the tools can read."""
    # {% if cookiecutter.attachments == "local" %}
    return LocalAttachments(settings, database, more_types)
    # {% endif %}
    # {% if cookiecutter.attachments == "s3" %}
    return S3Attachments(settings, database, more_types)
    # {% endif %}
