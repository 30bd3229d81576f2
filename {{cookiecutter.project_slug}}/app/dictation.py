"""Whether people can speak instead of typing."""

# {% if cookiecutter.dictation == "yes" %}
from engine.dictation.speech import Speech as Dictation

# {% endif %}
# {% if cookiecutter.dictation == "no" %}
from engine.dictation.base import Dictation

# {% endif %}
__all__ = ["Dictation"]
