"""Cleans the values of the environment and of `.env` before they become settings."""

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from dotenv import dotenv_values
from pydantic import AfterValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from engine.settings.env_text import read_env_text


class EnvFileSource(DotEnvSettingsSource):
    """Reads `.env` in UTF-8 or UTF-16. Raises `UnreadableEnvFile`."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        values = dotenv_values(stream=StringIO(read_env_text(file_path)))
        return parse_env_vars(values, self.case_sensitive, self.env_ignore_empty)


def clean_values(fields: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> dict[str, Any]:
    """Strip white space around values, and ignore the case of those that are one of several words.

    A value of white space only is left out, like an empty one.
    """
    stripped = {name: v.strip() if isinstance(v, str) else v for name, v in values.items()}
    return {
        name: _match_literal_case(fields[name], value) if name in fields else value
        for name, value in stripped.items()
        if value != "" or values[name] == ""
    }


def add_to_environment(env_file: Path, prefix: str = "") -> None:
    """Set the variables of `.env` for libraries that read their keys from the environment.

    Variables that are set already keep their value.
    """
    for name, value in _read_variables(env_file).items():
        if name.startswith(prefix):
            os.environ.setdefault(name, value or "")


def has_variable(name: str, env_file: Any) -> bool:
    """True if the environment or `.env` has a value for it."""
    value = os.environ.get(name) or _read_variables(env_file).get(name)
    return bool(value and value.strip())


def _read_variables(env_file: Any) -> dict[str, str | None]:
    if env_file is None or not Path(env_file).is_file():
        return {}
    return dotenv_values(stream=StringIO(read_env_text(Path(env_file))))


NOT_A_HEADER_VALUE = (
    "must be one line of ASCII characters: it has a line break or a character outside of ASCII"
)


def is_header_value(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _header_secret(secret: SecretStr) -> SecretStr:
    # The error of an HTTP client would quote the secret.
    _header_text(secret.get_secret_value())
    return secret


def _header_text(value: str) -> str:
    if not is_header_value(value):
        raise ValueError(f"it {NOT_A_HEADER_VALUE}")
    return value


# A secret and a text that can be sent in an HTTP header.
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
HeaderText = Annotated[str, AfterValidator(_header_text)]


def _match_literal_case(field: FieldInfo, value: Any) -> Any:
    kinds = (field.annotation, *get_args(field.annotation))  # the second for `Literal[…] | None`
    literals = [kind for kind in kinds if get_origin(kind) is Literal]
    if not literals or not isinstance(value, str):
        return value
    words = {str(word).casefold(): word for kind in literals for word in get_args(kind)}
    return words.get(value.casefold(), value)
