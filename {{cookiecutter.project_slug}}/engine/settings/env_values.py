"""Values as environments and `.env` files bring them, made fit for settings."""

import os
from collections.abc import Mapping, MutableMapping
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
    """Reads an `.env` in UTF-8 or UTF-16. Raises `UnreadableEnvFile`."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        values = dotenv_values(stream=StringIO(read_env_text(file_path)))
        return parse_env_vars(values, self.case_sensitive, self.env_ignore_empty)


def cleaned(fields: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> dict[str, Any]:
    """Without white space around a value; one of several words may be in capitals or not.

    A value that is nothing but white space is left out, like one that is empty.
    """
    stripped = {name: v.strip() if isinstance(v, str) else v for name, v in values.items()}
    return {
        name: _in_the_fields_case(fields[name], value) if name in fields else value
        for name, value in stripped.items()
        if value != "" or values[name] == ""
    }


def add_to_environment(env_file: Path) -> None:
    """For libraries that look for their keys there. What the environment has already stays."""
    if env_file.is_file():
        for name, value in dotenv_values(stream=StringIO(read_env_text(env_file))).items():
            os.environ.setdefault(name, value or "")


def clean_keys(environment: MutableMapping[str, str]) -> None:
    """Strip the keys of other libraries. Raises ValueError for one that no header can carry."""
    for name, value in list(environment.items()):
        if name.endswith("_API_KEY"):
            environment[name] = value.strip()
            if not _fits_a_header(value.strip()):
                raise ValueError(f"{name} {_UNFIT}")


_UNFIT = "must be one line of ASCII characters: it has a line break or a character outside of ASCII"


def _fits_a_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _header_value(secret: SecretStr) -> SecretStr:
    # An HTTP client's complaint about such a header would show it.
    if not _fits_a_header(secret.get_secret_value()):
        raise ValueError(f"it {_UNFIT}")
    return secret


# A secret that is sent as an HTTP header.
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_value)]


def _in_the_fields_case(field: FieldInfo, value: Any) -> Any:
    if get_origin(field.annotation) is not Literal or not isinstance(value, str):
        return value
    words = {str(word).casefold(): word for word in get_args(field.annotation)}
    return words.get(value.casefold(), value)
