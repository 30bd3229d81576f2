"""What a shell sets for other programs, and setup decides itself. Standard library only."""

import os
import sys

# Each of them changes which code a Python runs, or how; a child of ours needs none of them.
PYTHON_SETTINGS = frozenset(
    {
        "PYTHONEXECUTABLE",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONOPTIMIZE",
        "PYTHONPATH",
        "PYTHONPLATLIBDIR",
        "PYTHONPROFILEIMPORTTIME",
        "PYTHONSAFEPATH",
        "PYTHONVERBOSE",
        "PYTHONWARNINGS",
    }
)
# Where uv looks for the project, which Python and groups it takes, and what it may write. (Its
# index, cache, network, certificates and keyring are the machine's to say, and stay.)
UV_SETTINGS = frozenset(
    {
        "UV_CONSTRAINT",
        "UV_DEV",
        "UV_DRY_RUN",
        "UV_FORK_STRATEGY",
        "UV_FROZEN",
        "UV_ISOLATED",
        "UV_LOCKED",
        "UV_NO_DEFAULT_GROUPS",
        "UV_NO_DEV",
        "UV_NO_GROUP",
        "UV_NO_INSTALL_LOCAL",
        "UV_NO_INSTALL_PROJECT",
        "UV_NO_SYNC",
        "UV_ONLY_DEV",
        "UV_OVERRIDE",
        "UV_PRERELEASE",
        "UV_PROJECT",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_RESOLUTION",
        "UV_SYSTEM_PYTHON",
        "UV_WORKING_DIR",
        "UV_WORKING_DIRECTORY",
        "VIRTUAL_ENV",
    }
)
# What pip installs, and where.
PIP_SETTINGS = frozenset(
    {
        "PIP_ABI",
        "PIP_CONSTRAINT",
        "PIP_DRY_RUN",
        "PIP_EDITABLE",
        "PIP_IMPLEMENTATION",
        "PIP_PLATFORM",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_PYTHON_VERSION",
        "PIP_REQUIREMENT",
        "PIP_REQUIRE_VIRTUALENV",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
    }
)
FOREIGN_SETTINGS = PYTHON_SETTINGS | UV_SETTINGS | PIP_SETTINGS


def own_environment(**changes: str) -> dict[str, str]:
    """This process's environment for a child, without what was set for other programs."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_SETTINGS}
    return kept | changes


def must_restart() -> bool:
    """True where this Python was told to fail at a library's warning, or to forget docstrings.

    Libraries warn when they are imported, and the model reads the docstrings of tools.
    """
    return "error" in os.environ.get("PYTHONWARNINGS", "") or (
        sys.flags.optimize > 1 and "PYTHONOPTIMIZE" in os.environ
    )
