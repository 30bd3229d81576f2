"""`python -m app doctor`: what is wrong here, and how to mend it. One line each."""

import asyncio
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import httpx
from sqlalchemy.exc import DBAPIError

from app.agent import tools
from app.auth import sign_in
from dev.database import DatabaseUnavailable, check_database
from dev.options import DOCTOR_CHECKS
from dev.paths import POSTGRES_DIR, PROJECT_ROOT, VENV
from dev.postgres import Postgres
from dev.serve import port_problem
from engine.database.database import EVERYBODY, Database, DatabaseUnreachable
from engine.database.migrations import MigrationRefused, migration_problem, newest_revision
from engine.database.sequence import SEQUENCE_BEHIND, is_behind
from engine.models.litellm_models import LitellmModels
from engine.settings.database_url import parse_url
from engine.settings.settings import Settings, UnusableSettings
from engine.tools.services import ToolRefusal, ToolService

TIMEOUT_SECONDS = 10
OPENAI_URL = "https://api.openai.com/v1"
DEFAULT_DOMAIN_KEY = "local-dev"
ALLOW_LIST = "https://platform.openai.com/settings/organization/security/domain-allowlist"

# What the page says too, where it cannot work: static/js/diagnostics.js, whose `{}` are names.
ALLOW_CDN = "Allow {} in content blockers, proxies and firewalls."
OTHER_FILE = "A proxy may have answered with another file."
ADD_HOST = "Add {} to the domain allow-list of your OpenAI organization."
SET_KEY = "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server."
IS_SERVER_UP = "Check that the server runs, and that a proxy in front of it finds it."
NO_DATABASE = "The server runs, but cannot reach its database: see DATABASE_URL."

# Which check finds what the page calls by these names.
PROBLEMS = {
    "scriptBlocked": "ChatKit script",
    "notDefined": "ChatKit script",
    "notReady": "domain key",
    "backendDown": "server",
    "databaseDown": "database",
    "unauthenticated": "sign-in",
}


@dataclass(frozen=True)
class Finding:
    state: Literal["ok", "warn", "fail"]
    text: str


def doctor(port: int) -> int:
    """Print every finding; return 1 when one of them keeps the application from working."""
    settings = Settings()
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("Python", _python),
        ("environment", _environment),
        ("secret key", lambda: _secret_key(settings)),
        ("model key", lambda: _model_key(settings)),
        ("model", lambda: _model(settings)),
        *((("LiteLLM", lambda: _litellm(settings)),) if settings.litellm_models else ()),
        *((module.NAME, module.check) for module in map(importlib.import_module, DOCTOR_CHECKS)),
        ("database", lambda: _database(settings)),
        ("migrations", lambda: _migrations(settings)),
        ("sign-in", lambda: _sign_in(settings)),
        ("domain key", lambda: _domain_key(settings)),
        ("ChatKit script", lambda: _script(settings)),
        ("server", lambda: _server(port)),
        *((tool.label, partial(_service, tool.service)) for tool in tools.TOOLS if tool.service),
    )
    findings = [_report(name, check) for name, check in checks]
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def _report(name: str, check: Callable[[], Finding]) -> Finding:
    finding = check()
    print(f"{finding.state:<5} {name:<15} {finding.text}", flush=True)
    return finding


def _python() -> Finding:
    return Finding("ok", f"{sys.version.split()[0]} at {sys.executable}")


def _environment() -> Finding:
    if not (PROJECT_ROOT / "uv.lock").exists():
        return Finding("warn", "there is no uv.lock. Run: python -m app setup, and commit it")
    if not VENV.exists() or not sys.prefix.startswith(str(VENV)):
        return Finding("warn", f"this Python is not the project's. Use {VENV}, or: uv run")
    return Finding("ok", str(VENV))


def _secret_key(settings: Settings) -> Finding:
    if not settings.secret_key.get_secret_value():
        return Finding("warn", "SECRET_KEY is empty. Run: python -m app setup")
    try:
        settings.check_keys()
    except ValueError as error:
        return Finding("fail", str(error))
    return Finding("ok", "set")


def _model_key(settings: Settings) -> Finding:
    if settings.is_demo:
        return Finding("warn", "no OPENAI_API_KEY: the demo model answers. Put one into .env")
    if settings.openai_api_key is None:
        return _unkeyed(settings)
    return Finding("ok", "OPENAI_API_KEY is set")


def _unkeyed(settings: Settings) -> Finding:
    if settings.openai_models:
        return Finding("fail", f"no OPENAI_API_KEY, which {settings.openai_models[0]} needs")
    return Finding("ok", "no OPENAI_API_KEY is needed: LiteLLM's models have their own")


def _model(settings: Settings) -> Finding:
    if settings.is_demo:
        return Finding("ok", "the demo model is built in")
    if settings.openai_api_key is None:
        return _unkeyed(settings)
    url = (settings.openai_base_url or OPENAI_URL).rstrip("/")
    key = settings.openai_api_key.get_secret_value()
    headers, version = {"Authorization": f"Bearer {key}"}, {}
    if settings.openai_api_version is not None:
        url, headers = f"{url}/openai", {"api-key": key}
        version = {"api-version": settings.openai_api_version}
    try:
        answer = httpx.get(
            f"{url}/models", headers=headers, params=version, timeout=TIMEOUT_SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("fail", f"{url} does not answer ({error}). Check OPENAI_BASE_URL, network")
    if answer.status_code in {401, 403}:
        return Finding("fail", f"{url} refuses the key ({answer.status_code}). Replace it in .env")
    if answer.status_code != 200:
        return Finding("warn", f"{url}/models answers {answer.status_code}: cannot tell more")
    return _offered(settings, answer)


def _offered(settings: Settings, answer: httpx.Response) -> Finding:
    if settings.openai_api_version is not None or answer.url.host.endswith(".azure.com"):
        return Finding("ok", f"{answer.url.host} takes the key; it lists no deployments")
    try:
        known = {model["id"] for model in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return Finding("warn", "answers, but its list of models cannot be read")
    missing = [model for model in settings.openai_models if model not in known]
    if missing:
        return Finding("warn", f"{', '.join(missing)} is not listed there. Check MODEL, MODELS")
    return Finding("ok", f"{', '.join(settings.openai_models)} at {answer.url.host}")


def _litellm(settings: Settings) -> Finding:
    try:
        litellm = LitellmModels(settings)
    except UnusableSettings as error:
        return Finding("fail", str(error))
    for name in settings.litellm_models:
        if missing := litellm.missing_keys(name):
            return Finding("warn", f"{name} needs {', '.join(missing)}. Put it into .env")
    return Finding("ok", ", ".join(settings.litellm_models))


def _database(settings: Settings) -> Finding:
    url = _database_url(settings)
    if url is None:
        return Finding("warn", "the embedded one is not running. Run: python -m app db start")
    try:
        version = check_database(url)
    except DatabaseUnavailable as error:
        return Finding("fail", " ".join(str(error).split()))
    where = "embedded" if settings.database_url is None else str(parse_url(url))
    return Finding("ok", f"{version}, {where}")


def _migrations(settings: Settings) -> Finding:
    url = _database_url(settings)
    try:
        newest = newest_revision()
        if url is None:
            return Finding("warn", "cannot tell: the database is not running")
        problem = asyncio.run(_problem(url))
    except MigrationRefused as error:
        return Finding("fail", str(error))
    except DatabaseUnreachable:
        return Finding("fail", "cannot tell: the database does not answer")
    except DBAPIError as error:
        return Finding("fail", f"cannot tell: PostgreSQL says: {' '.join(str(error.orig).split())}")
    return Finding("fail", problem) if problem else Finding("ok", f"at the newest, {newest}")


def _domain_key(settings: Settings) -> Finding:
    if settings.chatkit_domain_key == DEFAULT_DOMAIN_KEY:
        return Finding(
            "warn",
            "the default, good on localhost alone. "
            f"{ADD_HOST.format('a real host')} {SET_KEY} See {ALLOW_LIST}",
        )
    return Finding("ok", "CHATKIT_DOMAIN_KEY is set")


def _script(settings: Settings) -> Finding:
    url = settings.chatkit_script_url
    try:
        answer = httpx.get(url, timeout=TIMEOUT_SECONDS, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        allow = ALLOW_CDN.format(urlsplit(url).hostname)
        return Finding(
            "warn", f"{url} does not answer ({error}): browsers here show no chat. {allow}"
        )
    if answer.status_code != 200:
        return Finding("warn", f"{url} answers {answer.status_code}: browsers show no chat")
    if "javascript" not in answer.headers.get("content-type", ""):
        return Finding("warn", f"{url} is no script: browsers show no chat. {OTHER_FILE}")
    return Finding("ok", url)


def _sign_in(settings: Settings) -> Finding:
    """Whether the style finds the settings that it needs. Nobody is signed in for it."""
    url = settings.database_url or "postgresql+asyncpg://nobody@127.0.0.1/none"
    try:
        style = sign_in(settings, Database.from_settings(settings, url))
    except ValueError as error:
        return Finding("fail", " ".join(str(error).split()))
    return Finding("ok", style.name)


def _server(port: int) -> Finding:
    url = f"http://127.0.0.1:{port}"
    try:
        answer = httpx.get(f"{url}/readyz", timeout=TIMEOUT_SECONDS)
        error = answer.json().get("error", {})
    except httpx.ConnectError:
        problem = port_problem("127.0.0.1", port)
        text = f"none at {url}. To start it: python -m app dev. Elsewhere: {IS_SERVER_UP}"
        return Finding("warn", problem) if problem else Finding("ok", text)
    except (httpx.HTTPError, ValueError, AttributeError):
        problem = port_problem("127.0.0.1", port) or "it is none of ours"
        return Finding("warn", f"what answers at {url} is no chat application. {problem}")
    if answer.status_code == 200:
        return Finding("ok", f"at {url}")
    if error.get("code") == "database_unavailable":
        return Finding("fail", NO_DATABASE)
    return Finding("fail", f"at {url}: {error.get('message') or answer.status_code}")


def _service(build: Callable[[], ToolService]) -> Finding:
    """What a tool needs besides the application; without it the rest works."""

    async def ask() -> str:
        service = build()
        try:
            await service.start()
            return await service.check()
        finally:
            await service.close()

    try:
        return Finding("ok", asyncio.run(ask()))
    except ToolRefusal as error:
        return Finding("warn", str(error))


def _database_url(settings: Settings) -> str | None:
    if settings.database_url is not None:
        return settings.database_url
    postgres = Postgres(POSTGRES_DIR)
    return postgres.url if postgres.is_running() else None


async def _problem(url: str) -> str | None:
    """What is wrong with the tables, and the mend."""
    database = Database(url, transaction_pooler=True)
    try:
        async with database.reading(EVERYBODY) as connection:
            if problem := await connection.run_sync(migration_problem):
                return problem
            return SEQUENCE_BEHIND if await is_behind(connection) else None
    finally:
        await database.dispose()
