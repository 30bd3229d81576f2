"""`python3 -m app doctor` in development: this machine, then what the engine looks at."""

import argparse
import importlib
import sys
from functools import partial

from dev.options import COMPANIONS
from dev.paths import POSTGRES_DIR, PROJECT_ROOT, VENV
from dev.postgres import Postgres
from engine.operate.doctor import checks_of, database, examine, migrations
from engine.settings.finding import Finding
from engine.settings.settings import Settings


def doctor(options: argparse.Namespace) -> int:
    """Print every finding; return 1 when one of them keeps the application from working."""
    settings = Settings()
    ours = {"Python": _python, "environment": _environment}
    checks = {**ours, **checks_of("app", settings, options.port)}
    if settings.database_url is None:
        postgres = Postgres(POSTGRES_DIR)
        url = postgres.url if postgres.is_running() else None
        checks["database"] = partial(embedded_database, url)
        checks["migrations"] = partial(migrations, url)
    companions = map(importlib.import_module, COMPANIONS)
    return examine(checks | {module.NAME: module.check for module in companions})


def _python() -> Finding:
    return Finding("ok", f"{sys.version.split()[0]} at {sys.executable}")


def _environment() -> Finding:
    if not (PROJECT_ROOT / "uv.lock").exists():
        return Finding("warn", "there is no uv.lock. Run: python3 -m app setup, and commit it")
    if not VENV.exists() or not sys.prefix.startswith(str(VENV)):
        return Finding("warn", f"this Python is not the project's. Use {VENV}, or: uv run")
    return Finding("ok", str(VENV))


def embedded_database(url: str | None) -> Finding:
    if url is None:
        return Finding("warn", "the embedded one is not running. Run: python3 -m app db start")
    return database(url, "embedded")
