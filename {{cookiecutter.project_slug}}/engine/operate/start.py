"""Prints one line for settings that are not usable, which says how to fix them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from engine.settings.settings import EnvSettings


@contextmanager
def exit_with_one_line() -> Iterator[None]:
    """End the process with one line instead of a traceback if the settings are not usable."""
    try:
        yield
    except ValidationError as error:
        sys.exit(f"The application cannot start. {' '.join(problems(error))}")
    except ValueError as error:
        sys.exit(f"The application cannot start. {' '.join(str(error).split())}")


def problems(error: ValidationError) -> list[str]:
    """One sentence for each setting that is not usable, with its name in the environment."""
    prefix = _prefixes().get(error.title, "")
    return [
        f"{prefix}{'_'.join(str(part) for part in problem['loc'])}".upper()
        + f" is not usable: {problem['msg'].removeprefix('Value error, ')}. See .env.example."
        for problem in error.errors()
    ]


def _prefixes() -> dict[str, str]:
    prefixes, classes = {}, [EnvSettings]
    while classes:
        settings = classes.pop()
        prefixes[settings.__name__] = settings.model_config.get("env_prefix", "")
        classes += settings.__subclasses__()
    return prefixes
