"""Environment variables of the shell that setup ignores. Standard library only."""

import os
import re
import sys

# Which code a Python runs, or how; where uv looks for the project, which Python and groups it
# takes, and what it may write; what pip installs, and where. Their index, cache, network,
# certificates and keyring are the machine's to say, and stay.
FOREIGN_SETTINGS = re.compile(
    r"""VIRTUAL_ENV
    | PYTHON(EXECUTABLE | HOME | INSPECT | OPTIMIZE | PATH | PLATLIBDIR | PROFILEIMPORTTIME
        | SAFEPATH | VERBOSE | WARNINGS)
    | UV_(CONSTRAINT | DEV | DRY_RUN | FORK_STRATEGY | FROZEN | ISOLATED | LOCKED
        | NO_DEFAULT_GROUPS | NO_DEV | NO_GROUP | NO_INSTALL_LOCAL | NO_INSTALL_PROJECT | NO_SYNC
        | ONLY_DEV | OVERRIDE | PRERELEASE | PROJECT | PROJECT_ENVIRONMENT | PYTHON | RESOLUTION
        | SYSTEM_PYTHON | WORKING_DIR | WORKING_DIRECTORY)
    | PIP_(ABI | CONSTRAINT | DRY_RUN | EDITABLE | IMPLEMENTATION | PLATFORM | PREFIX | PYTHON
        | PYTHON_VERSION | REQUIREMENT | REQUIRE_VIRTUALENV | ROOT | TARGET | USER)""",
    re.VERBOSE,
)


def own_environment(**changes: str) -> dict[str, str]:
    """This process's environment for a child, without what was set for other programs."""
    environ = os.environ.items()
    return {k: v for k, v in environ if not FOREIGN_SETTINGS.fullmatch(k)} | changes


def must_restart() -> bool:
    """True where this Python was told to fail at a library's warning, or to forget docstrings.

    Libraries warn when they are imported, and the model reads the docstrings of tools.
    """
    return "error" in os.environ.get("PYTHONWARNINGS", "") or (
        sys.flags.optimize > 1 and "PYTHONOPTIMIZE" in os.environ
    )
