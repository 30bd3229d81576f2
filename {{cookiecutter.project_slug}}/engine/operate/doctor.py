"""The checks of `python3 -m app doctor`: what is wrong here, and how to mend it. One line each."""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import httpx2
from sqlalchemy.exc import DBAPIError

from engine.auth.base import SignIn
from engine.database.database import EVERYBODY, Database, DatabaseUnreachable
from engine.database.migrations import MigrationRefused, migration_problem, newest_revisions
from engine.database.sequence import SEQUENCE_BEHIND, is_behind
from engine.database.server_check import UnusableDatabase, check_database
from engine.models.source import check_models
from engine.operate.identity import application_id
from engine.operate.port import port_problem
from engine.settings.database_url import parse_url
from engine.settings.finding import Finding
from engine.settings.settings import MODEL_KEY, Settings, UnusableSettings
from engine.tools.services import ToolRefusal, ToolService

TIMEOUT_SECONDS = 10
OPENAI_URL = "https://api.openai.com/v1"
DEFAULT_DOMAIN_KEY = "local-dev"
ALLOW_LIST = "https://platform.openai.com/settings/organization/security/domain-allowlist"

# The page says these too: static/js/diagnostics.js, whose names in braces are the same.
ALLOW_CDN = "Allow {host} in content blockers, proxies and firewalls."
OTHER_FILE = "A proxy may have answered with another file."
ADD_HOST = "Add {host} to the domain allow-list of your OpenAI organization."
SET_KEY = "Set CHATKIT_DOMAIN_KEY to the key shown there and restart the server."
IS_SERVER_UP = "Check that the server runs, and that a proxy in front of it finds it."
NO_DATABASE = "The server runs, but cannot reach its database: see DATABASE_URL."


def examine(checks: Mapping[str, Callable[[], Finding]]) -> int:
    """Print every finding; return 1 when one of them keeps the application from working."""
    findings = [_report(name, check) for name, check in checks.items()]
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def _report(name: str, check: Callable[[], Finding]) -> Finding:
    finding = check()
    print(f"{finding.state:<5} {name:<15} {finding.text}", flush=True)
    return finding


def checks_of(application: str, settings: Settings, port: int) -> dict[str, Callable[[], Finding]]:
    """Those of this application, by their names. `application` is the owner's package."""
    names = importlib.import_module(f"{application}.commands").DOCTOR_CHECKS
    chosen = {module.NAME: module.check for module in map(importlib.import_module, names)}
    tools = importlib.import_module(f"{application}.agent.tool_list").TOOLS
    sign_in = importlib.import_module(f"{application}.auth").sign_in
    return {
        "secret key": partial(secret_key, settings),
        "model key": partial(model_key, settings),
        "model": partial(model, settings),
        **chosen,
        "database": partial(database, settings.database_url),
        "migrations": partial(migrations, settings.database_url),
        "sign-in": partial(_sign_in, sign_in, settings),
        "domain key": partial(domain_key, settings),
        "ChatKit script": partial(script, settings),
        "server": partial(server, port, settings),
        **{tool.label: partial(tool_service, tool.service) for tool in tools if tool.service},
    }


def secret_key(settings: Settings) -> Finding:
    if not settings.secret_key.get_secret_value():
        return Finding("warn", "SECRET_KEY is empty. Run: python3 -m app setup")
    try:
        settings.check_keys()
    except ValueError as error:
        return Finding("fail", str(error))
    return Finding("ok", "set")


def model_key(settings: Settings) -> Finding:
    if settings.is_demo:
        return Finding("warn", f"no {MODEL_KEY}: the demo model answers. Put one into .env")
    if settings.openai_api_key is None:
        return _unkeyed(settings)
    return Finding("ok", "OPENAI_API_KEY is set")


def _unkeyed(settings: Settings) -> Finding:
    if settings.openai_models:
        return Finding("fail", f"no OPENAI_API_KEY, which {settings.openai_models[0]} needs")
    return Finding("ok", "no OPENAI_API_KEY is needed: the models are other providers'")


def model(settings: Settings) -> Finding:
    try:
        check_models(settings)
    except UnusableSettings as error:
        return Finding("fail", str(error))
    if settings.is_demo:
        return Finding("ok", "the demo model is built in")
    if settings.openai_api_key is None:
        return _unkeyed(settings)
    url = (settings.openai_base_url or OPENAI_URL).rstrip("/")
    key = settings.openai_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = httpx2.get(f"{url}/models", headers=headers, timeout=TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Finding("fail", f"{url} does not answer ({error}). Check OPENAI_BASE_URL, network")
    if answer.status_code in {401, 403}:
        return Finding("fail", f"{url} refuses the key ({answer.status_code}). Replace it in .env")
    if answer.status_code != 200:
        return Finding("warn", f"{url}/models answers {answer.status_code}: cannot tell more")
    return _offered(settings, answer)


def _offered(settings: Settings, answer: httpx2.Response) -> Finding:
    if answer.url.host.endswith(".azure.com"):
        return Finding("ok", f"{answer.url.host} takes the key; it lists no deployments")
    try:
        known = {model["id"] for model in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return Finding("warn", "answers, but its list of models cannot be read")
    missing = [model for model in settings.openai_models if model not in known]
    if missing:
        return Finding("warn", f"{', '.join(missing)} is not listed there. Check MODEL, MODELS")
    return Finding("ok", f"{', '.join(settings.openai_models)} at {answer.url.host}")


def database(url: str | None, where: str = "") -> Finding:
    """`where` stands for an address that nobody has to know."""
    if url is None:
        return Finding("fail", "DATABASE_URL is not set")
    try:
        version = check_database(url)
    except UnusableDatabase as error:
        return Finding("fail", " ".join(str(error).split()))
    return Finding("ok", f"{version}, {where or parse_url(url)}")


def migrations(url: str | None) -> Finding:
    try:
        newest = ", ".join(newest_revisions())
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


async def _problem(url: str) -> str | None:
    """The fault of the tables, with its fix; None without one."""
    database = Database(url, transaction_pooler=True)
    try:
        async with database.reading(EVERYBODY) as connection:
            if problem := await connection.run_sync(migration_problem):
                return problem
            return SEQUENCE_BEHIND if await is_behind(connection) else None
    finally:
        await database.dispose()


def domain_key(settings: Settings) -> Finding:
    if settings.chatkit_domain_key == DEFAULT_DOMAIN_KEY:
        return Finding(
            "warn",
            "the default, good on localhost alone. "
            f"{ADD_HOST.format(host='a real host')} {SET_KEY} See {ALLOW_LIST}",
        )
    return Finding("ok", "CHATKIT_DOMAIN_KEY is set")


def script(settings: Settings) -> Finding:
    url = settings.chatkit_script_url
    try:
        answer = httpx2.get(url, timeout=TIMEOUT_SECONDS, follow_redirects=True)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        allow = ALLOW_CDN.format(host=urlsplit(url).hostname)
        return Finding(
            "warn", f"{url} does not answer ({error}): browsers here show no chat. {allow}"
        )
    if answer.status_code != 200:
        return Finding("warn", f"{url} answers {answer.status_code}: browsers show no chat")
    if "javascript" not in answer.headers.get("content-type", ""):
        return Finding("warn", f"{url} is no script: browsers show no chat. {OTHER_FILE}")
    return Finding("ok", url)


def _sign_in(sign_in: SignIn, settings: Settings) -> Finding:
    """Builds the style, which checks its settings. It signs no user in."""
    url = settings.database_url or "postgresql+asyncpg://nobody@127.0.0.1/none"
    try:
        style = sign_in(settings, Database.from_settings(settings, url))
    except ValueError as error:
        return Finding("fail", " ".join(str(error).split()))
    return Finding("ok", f"{style.name}: it lets in {style.lets_in}")


def server(port: int, settings: Settings) -> Finding:
    url = f"http://127.0.0.1:{port}"
    taken = port_problem("127.0.0.1", port)
    try:
        health = httpx2.get(f"{url}/healthz", timeout=TIMEOUT_SECONDS).json()
        if health.get("application") != application_id(settings):
            return Finding("warn", f"another application answers at {url}. {taken or ''}".rstrip())
        answer = httpx2.get(f"{url}/readyz", timeout=TIMEOUT_SECONDS)
        error = answer.json().get("error", {})
    except httpx2.ConnectError:
        none = f"none at {url}. To start one: python3 -m app dev. Elsewhere: {IS_SERVER_UP}"
        return Finding("warn", taken) if taken else Finding("ok", none)
    except (httpx2.HTTPError, ValueError, AttributeError):
        other = f"what answers at {url} is no chat application"
        return Finding("warn", f"{other}. {taken or 'it is none of ours'}")
    if answer.status_code == 200:
        return Finding("ok", f"at {url}")
    if error.get("code") == "database_unavailable":
        return Finding("fail", NO_DATABASE)
    return Finding("fail", f"at {url}: {error.get('message') or answer.status_code}")


def tool_service(build: Callable[[], ToolService]) -> Finding:
    """Starts and checks the service of a tool. Without it, only that tool fails."""

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
