"""Whether people can speak instead of typing."""

from engine.dictation.base import Dictation

# {%- if cookiecutter.dictation == "yes" +%}
from engine.dictation.speech import Speech

# {%- endif +%}

KINDS: tuple[type[Dictation], ...] = (
    # The first one is used.
    # {% if cookiecutter.dictation == "yes" %}
    Speech,
    # {% endif %}
    Dictation,
)
