"""Whether people can speak instead of typing."""

from app.dictation.base import Dictation

# {%- if cookiecutter.dictation == "yes" +%}
from app.dictation.speech import Speech

# {%- endif +%}

KINDS: tuple[type[Dictation], ...] = (
    # The first one is used.
    # {% if cookiecutter.dictation == "yes" %}
    Speech,
    # {% endif %}
    Dictation,
)
