"""A start that fails for its settings: one line says which, and how to mend it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from engine.settings.settings import EnvSettings


@contextmanager
def exit_with_one_line() -> Iterator[None]:
    """End the process with one line in the place of a traceback."""
    try:
        yield
    except ValidationError as error:
        sys.exit(f"The application cannot start. {' '.join(problems(error))}")
    except ValueError as error:
        sys.exit(f"The application cannot start. {' '.join(str(error).split())}")


def problems(error: ValidationError) -> list[str]:
    """A sentence for each setting that is not usable, by its name in the environment."""
    prefix = _prefixes().get(error.title, "")
    return [
        f"{prefix}{'_'.join(str(part) for part in problem['loc'])}".upper()
        + f" is not usable: {problem['msg'].removeprefix('Value error, ')}. See .env.example."
        for problem in error.errors()
    ]


def _prefixes() -> dict[str, str]:
    found, left = {}, [EnvSettings]
    while left:
        settings = left.pop()
        found[settings.__name__] = settings.model_config.get("env_prefix", "")
        left += settings.__subclasses__()
    return found
