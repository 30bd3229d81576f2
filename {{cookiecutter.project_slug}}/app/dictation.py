"""Whether people can speak instead of typing."""

# {% if cookiecutter.dictation == "no" %}
from engine.dictation.base import Dictation as NoDictation

# {% endif %}
# {% if cookiecutter.dictation == "yes" %}
from engine.dictation.speech import Speech

# {% endif %}
# {% if cookiecutter.dictation == "no" %}
Dictation = NoDictation
# {% endif %}
# {% if cookiecutter.dictation == "yes" %}
Dictation = Speech
# {% endif %}
