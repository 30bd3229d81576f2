"""Fixtures: a migrated PostgreSQL, the application on a real server, and its users."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest
import pytest_asyncio
import uvicorn
from agents import Model
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from dotenv import dotenv_values
from fastapi import FastAPI
from sqlalchemy import event, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from dev.paths import PROJECT_ROOT
from dev.postgres import Postgres
from engine.auth.base import SignIn
from engine.auth.credentials import sample_credentials
from engine.database.database import Database
from engine.demo.model import DemoModel
from engine.http.included import prefix_in
from engine.models.source import ModelSource
from engine.operate.commands.migrate import upgrade
from engine.operate.server_options import HTTP
from engine.runs import checkpoints
from engine.settings.env_file import write_env_file
from engine.settings.settings import EnvSettings, Settings
from engine.tests import application
from engine.tests.citus_rules import check_statement
from engine.tests.talk import German, Translations, Visitor
from engine.text import locales


@pytest.fixture(autouse=True, scope="session")
def _citus_rules() -> Iterator[None]:
    event.listen(Engine, "before_cursor_execute", check_statement)
    yield
    event.remove(Engine, "before_cursor_execute", check_statement)


class CompiledStatements(dict[tuple[Any, ...], Any]):
    """Compiled statements, by the version of the server instead of by SQLAlchemy's engine."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(_by_version(key), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(_by_version(key), compiled)


def _by_version(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    return (type(dialect), dialect.server_version_info, *rest)


@pytest.fixture(autouse=True, scope="session")
def _statements_are_compiled_once() -> Iterator[None]:
    """Each application has an engine of its own, which would compile all of its statements anew:
    a third of a test's time."""
    compiled = CompiledStatements()

    def use(connection: Connection) -> None:
        connection.execution_options(compiled_cache=compiled)

    event.listen(Engine, "engine_connect", use)
    yield
    event.remove(Engine, "engine_connect", use)


ENGINES_TOOLS = application.TOOLS


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[German]:
    """The one language beside English, with what it is given: `german({"Sources": "Quellen"})`."""
    file = tmp_path / "locales" / "de.po"
    file.parent.mkdir()
    monkeypatch.setattr(locales, "FOLDERS", (tmp_path,))
    monkeypatch.setattr(locales, "PROJECT", tmp_path)

    def add(translations: Translations) -> None:
        catalog = Catalog(locale="de", fuzzy=False)
        for english, translation in translations.items():
            catalog.add(english, translation)
        with file.open("wb") as target:
            write_po(target, catalog)
        forget_translations()

    add({})
    yield add
    monkeypatch.undo()
    forget_translations()


def forget_translations() -> None:
    for cached in (locales.languages, locales._translations, locales._read):
        cached.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def _authorities_are_read_once() -> Iterator[None]:
    """Each HTTP client reads all certificate authorities, which takes longer than most requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", cache(httpcore2.default_ssl_context))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


# Settings that are off for speed: the data need not survive a crash. Tests of crashes have servers
# of their own.
NOT_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on which to create databases: that of TEST_DATABASE_URL, or an embedded one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    postgres = Postgres(tmp_path_factory.mktemp("postgres") / "data")
    url = postgres.start()
    for setting in NOT_DURABLE:
        asyncio.run(_administer(url, f"ALTER SYSTEM SET {setting} = off"))
    asyncio.run(_administer(url, "SELECT pg_reload_conf()"))
    yield url
    postgres.destroy()


@pytest.fixture(scope="session")
def database_url(postgres_url: str) -> Iterator[str]:
    """A migrated database, created once for each test process."""
    with new_database(postgres_url, f"test_{secrets.token_hex(6)}") as url:
        upgrade(url)
        yield url


@contextmanager
def new_database(postgres_url: str, name: str) -> Iterator[str]:
    """Create an empty database on that server and drop it at the end. Yields its URL."""
    asyncio.run(_administer(postgres_url, f'CREATE DATABASE "{name}"'))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


@pytest_asyncio.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture(autouse=True, scope="session")
def _isolated_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with isolated_settings(tmp_path_factory.mktemp("settings")):
        yield


@contextmanager
def isolated_settings(folder: Path) -> Iterator[None]:
    """Replace `.env` and the environment's settings by those that setup writes."""
    env = folder / ".env"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.endswith("_API_KEY")]:
            patch.delenv(name)  # a model of another provider would cost money
        for settings in every_settings_class(EnvSettings):
            patch.setitem(settings.model_config, "env_file", None)
            prefix = settings.model_config.get("env_prefix", "")
            for name in settings.model_fields:
                patch.delenv(f"{prefix}{name}".upper(), raising=False)
        write_env_file(env, PROJECT_ROOT / ".env.example")
        for name, value in dotenv_values(env).items():
            patch.setenv(name, value or "")
        for name, value in shared_limits().items():
            patch.setenv(name.upper(), value)
        yield


def shared_limits() -> dict[str, str]:
    """Settings that turn limits per address off, because all users of a test have one address."""
    most = {"_per_minute": "100000", "_answers": "100000", "_per_day": "1000000000000"}
    return {
        name: value
        for settings in every_settings_class(EnvSettings)
        for name in settings.model_fields
        for ending, value in most.items()
        if name.startswith(("address_", "visitors_")) and name.endswith(ending)
    }


def every_settings_class(root: type[EnvSettings]) -> Iterator[type[EnvSettings]]:
    yield root
    for derived in root.__subclasses__():
        yield from every_settings_class(derived)


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    """Settings with the test database, a demo model without pauses, and high limits."""
    return Settings(
        database_url=database_url,
        model="gpt-test",
        demo_delay_seconds=0,
        log_level="WARNING",
        shutdown_seconds=0,
        turns_per_minute=1_000,
        running_answers_per_user=100,
    )


CreateApp = Callable[..., FastAPI]


# To test another application, a suite replaces these two fixtures and `base_url`.
@pytest.fixture(scope="session")
def create_app() -> CreateApp:
    """Creates the application from settings, and optionally from other models."""
    return application.create_app


@pytest.fixture(scope="session")
def sign_in() -> SignIn:
    """The auth style of that application."""
    return application.sign_in


@pytest_asyncio.fixture(scope="session")
async def base_url(create_app: CreateApp, settings: Settings) -> AsyncIterator[str]:
    """The URL of the application on a real server that all tests share."""
    async with serving_chat(create_app(settings)) as url:
        yield url


@pytest_asyncio.fixture
async def served_url(
    base_url: str, create_app: CreateApp, settings: Settings
) -> AsyncIterator[str]:
    """Like `base_url`, but an application of its own for a test with other tools."""
    if application.TOOLS is ENGINES_TOOLS:
        yield base_url
        return
    async with serving_chat(create_app(settings)) as url:
        yield url


@pytest_asyncio.fixture
async def visitor(served_url: str, settings: Settings, sign_in: SignIn) -> AsyncIterator[Visitor]:
    """A new user."""
    async with visiting(served_url, settings, sign_in=sign_in) as visitor:
        yield visitor


@pytest_asyncio.fixture
async def stranger(served_url: str, settings: Settings, sign_in: SignIn) -> AsyncIterator[Visitor]:
    """Another new user."""
    async with visiting(served_url, settings, sign_in=sign_in) as visitor:
        yield visitor


Scripted = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture
async def with_model(
    settings: Settings, create_app: CreateApp, sign_in: SignIn
) -> AsyncIterator[Scripted]:
    """Serve the application with this model (and settings): `await with_model(model, **changes)`."""
    async with AsyncExitStack() as stack:

        async def start(model: Model, **changes: Any) -> Visitor:
            changed = settings.model_copy(update=changes)
            app = create_app(changed, OneModel(changed, model))
            url = await stack.enter_async_context(serving_chat(app))
            return await stack.enter_async_context(visiting(url, changed, sign_in=sign_in))

        yield start


@pytest.fixture
def no_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints so rare that none happens during a test."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 60)
    monkeypatch.setattr(checkpoints, "LONGEST_ROUND_SECONDS", 60)


class LogLines(logging.Handler):
    """Collects the lines of a log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def audit() -> Iterator[list[str]]:
    """The lines of `engine.http.audit`."""
    kept = LogLines()
    logger = logging.getLogger("engine.audit")
    logger.addHandler(kept)
    yield kept.lines
    logger.removeHandler(kept)


def demo_model(delay_seconds: float = 0) -> DemoModel:
    """The demo model with the tools of the tests."""
    return DemoModel(delay_seconds, application.TOOLS)


class OneModel(ModelSource):
    def __init__(self, settings: Settings, model: Model) -> None:
        super().__init__(settings, model)
        self._model = model

    def get(self, name: str) -> Model:
        return self._model


@asynccontextmanager
async def visiting(
    url: str, settings: Settings, *, user_id: str | None = None, sign_in: SignIn | None = None
) -> AsyncIterator[Visitor]:
    """A signed-in user. Without `sign_in`, the style is that of the tests' own application."""
    user_id = user_id or f"test-{secrets.token_hex(8)}"
    [credentials] = await sample_credentials(settings, [user_id], sign_in or application.sign_in)
    async with httpx2.AsyncClient(base_url=url, headers=credentials, timeout=30) as client:
        yield Visitor(client, user_id)


class QuickServer(uvicorn.Server):
    """Stops at once: uvicorn checks ten times a second only, and the tests start hundreds."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (a flag that signals set too)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving_chat(app: FastAPI) -> AsyncIterator[str]:
    """Like `serving`; gives the URL of the chat, wherever the application has it."""
    async with serving(app) as url:
        yield f"{url}{prefix_in(app)}"


@asynccontextmanager
async def serving(app: FastAPI, **options: Any) -> AsyncIterator[str]:
    """Serve over HTTP on a free port of this machine. Yields the base URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_config=None,
            # By default uvicorn closes idle connections while httpx2 may still use them.
            timeout_keep_alive=60,
            timeout_graceful_shutdown=5,
            **HTTP,
            **options,
        )
        server = QuickServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has no event)
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
