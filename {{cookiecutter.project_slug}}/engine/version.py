"""The version of the template that this engine is of."""

VERSION = "{{ cookiecutter._version }}"
