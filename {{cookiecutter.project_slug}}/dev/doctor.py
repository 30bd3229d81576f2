"""`python -m app doctor` in development: this machine, then what the engine looks at."""

import importlib
import sys
from functools import partial

from dev.options import COMPANIONS
from dev.paths import POSTGRES_DIR, PROJECT_ROOT, VENV
from dev.postgres import Postgres
from dev.serve import port_problem
from engine.operate.doctor import checks_of, database, examine, migrations, server
from engine.settings.finding import Finding
from engine.settings.settings import Settings

START = "To start it: python -m app dev. Elsewhere: "


def doctor(port: int) -> int:
    """Print every finding; return 1 when one of them keeps the application from working."""
    settings = Settings()
    checks = {"Python": _python, "environment": _environment, **checks_of("app", settings, port)}
    if settings.database_url is None:
        postgres = Postgres(POSTGRES_DIR)
        url = postgres.url if postgres.is_running() else None
        checks["database"] = partial(embedded_database, url)
        checks["migrations"] = partial(migrations, url)
    checks["server"] = partial(own_server, port)
    companions = map(importlib.import_module, COMPANIONS)
    return examine(checks | {module.NAME: module.check for module in companions})


def _python() -> Finding:
    return Finding("ok", f"{sys.version.split()[0]} at {sys.executable}")


def _environment() -> Finding:
    if not (PROJECT_ROOT / "uv.lock").exists():
        return Finding("warn", "there is no uv.lock. Run: python -m app setup, and commit it")
    if not VENV.exists() or not sys.prefix.startswith(str(VENV)):
        return Finding("warn", f"this Python is not the project's. Use {VENV}, or: uv run")
    return Finding("ok", str(VENV))


def embedded_database(url: str | None) -> Finding:
    if url is None:
        return Finding("warn", "the embedded one is not running. Run: python -m app db start")
    return database(url, "embedded")


def own_server(port: int) -> Finding:
    return server(port, port_problem("127.0.0.1", port), START)
