"""The schema's history, as Alembic keeps it in `migrations/`."""

from functools import cache

from alembic.config import Config
from alembic.script import ScriptDirectory

from app.config import PROJECT_ROOT


def alembic_config() -> Config:
    return Config(str(PROJECT_ROOT / "alembic.ini"))


def is_behind(revision: str | None) -> bool:
    """True for a database that lacks a migration of ours.

    One that we do not know is of a newer release, beside which this one goes on serving until it
    is replaced.
    """
    return revision is None or revision in _older_revisions()


@cache
def _older_revisions() -> frozenset[str]:
    script = ScriptDirectory.from_config(alembic_config())
    head = script.get_current_head()
    return frozenset(known.revision for known in script.walk_revisions()) - {head}
