"""Fixtures: a migrated PostgreSQL, the application on a real server, and people who use it."""

import asyncio
import logging
import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from agents import Model
from dotenv import dotenv_values
from fastapi import FastAPI
from sqlalchemy import event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from dev.credentials import sample_credentials
from dev.env_file import write_env_file
from dev.paths import PROJECT_ROOT
from dev.postgres import Postgres
from dev.serve import HTTP
from engine.auth.base import SignIn
from engine.database.database import Database
from engine.demo.model import DemoModel
from engine.models.source import ModelSource
from engine.operate.commands.migrate import upgrade
from engine.runs import runs
from engine.settings.settings import EnvSettings, Settings
from engine.tests import application
from engine.tests.citus_rules import hold_against_rules
from engine.tests.talk import Visitor


@pytest.fixture(autouse=True, scope="session")
def _citus_rules() -> Iterator[None]:
    event.listen(Engine, "before_cursor_execute", hold_against_rules)
    yield
    event.remove(Engine, "before_cursor_execute", hold_against_rules)


ENGINES_TOOLS = application.TOOLS

# Who vouches for servers is read once: that takes longer than most requests.
AUTHORITIES = ssl.create_default_context()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


# The disk is not waited for: nothing has to outlive this server. (Tests of its death have others.)
HASTY = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server to make databases on: TEST_DATABASE_URL's, or an embedded one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    postgres = Postgres(tmp_path_factory.mktemp("postgres") / "data")
    url = postgres.start()
    for setting in HASTY:
        asyncio.run(_administer(url, f"ALTER SYSTEM SET {setting} = off"))
    asyncio.run(_administer(url, "SELECT pg_reload_conf()"))
    yield url
    postgres.destroy()


@pytest.fixture(scope="session")
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh database at the newest migration, made once for each test process."""
    with new_database(postgres_url, f"test_{secrets.token_hex(6)}") as url:
        upgrade(url)
        yield url


@contextmanager
def new_database(postgres_url: str, name: str) -> Iterator[str]:
    """An empty database on that server, dropped at the end; gives its URL."""
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
def _no_settings_from_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_settings_from_outside(tmp_path_factory.mktemp("settings")):
        yield


@contextmanager
def no_settings_from_outside(folder: Path) -> Iterator[None]:
    """Neither `.env` nor the shell decides what the tests see, but what setup writes does."""
    env = folder / ".env"
    with pytest.MonkeyPatch.context() as patch:
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
    """Settings that let one address be everybody who takes part in a test."""
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
    """The demo model without its pauses, on the test database; limits that no test meets by chance."""
    return Settings(
        database_url=database_url,
        demo_delay_seconds=0,
        log_level="WARNING",
        shutdown_seconds=0,
        turns_per_minute=1_000,
        running_answers_per_user=100,
    )


CreateApp = Callable[..., FastAPI]


# What another suite replaces to test another application: these two, and `base_url`.
@pytest.fixture(scope="session")
def create_app() -> CreateApp:
    """Called with settings, and with models if others than theirs are to answer."""
    return application.create_app


@pytest.fixture(scope="session")
def sign_in() -> SignIn:
    """How that application signs people in."""
    return application.sign_in


@pytest_asyncio.fixture(scope="session")
async def base_url(create_app: CreateApp, settings: Settings) -> AsyncIterator[str]:
    """The application as it comes, on a real server that all tests share."""
    async with serving(create_app(settings)) as url:
        yield url


@pytest_asyncio.fixture
async def served_url(
    base_url: str, create_app: CreateApp, settings: Settings
) -> AsyncIterator[str]:
    """The same; where a test has other tools, an application of its own."""
    if application.TOOLS is ENGINES_TOOLS:
        yield base_url
        return
    async with serving(create_app(settings)) as url:
        yield url


@pytest_asyncio.fixture
async def visitor(served_url: str, settings: Settings, sign_in: SignIn) -> AsyncIterator[Visitor]:
    """Somebody new."""
    async with visiting(served_url, settings, sign_in=sign_in) as visitor:
        yield visitor


@pytest_asyncio.fixture
async def stranger(served_url: str, settings: Settings, sign_in: SignIn) -> AsyncIterator[Visitor]:
    """Somebody else."""
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
            url = await stack.enter_async_context(serving(app))
            return await stack.enter_async_context(visiting(url, changed, sign_in=sign_in))

        yield start


@pytest.fixture
def no_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that comes before a test is over."""
    monkeypatch.setattr(runs, "CHECKPOINT_SECONDS", 60)
    monkeypatch.setattr(runs, "LONGEST_ROUND_SECONDS", 60)


class Kept(logging.Handler):
    """What is logged, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def audit() -> Iterator[list[str]]:
    """The lines of `engine.http.audit`."""
    kept = Kept()
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
    """Somebody who is signed in, as the tests' own application does it unless `sign_in` is given."""
    user_id = user_id or f"test-{secrets.token_hex(8)}"
    [credentials] = await sample_credentials(settings, [user_id], sign_in or application.sign_in)
    async with httpx.AsyncClient(
        base_url=url, headers=credentials, timeout=30, verify=AUTHORITIES
    ) as client:
        yield Visitor(client, user_id)


class Attentive(uvicorn.Server):
    """Ends as soon as it should: uvicorn looks ten times a second, and there are hundreds of these."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (a plain flag, which signals set as well)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(app: FastAPI, **options: Any) -> AsyncIterator[str]:
    """Serve over real HTTP on a free port of this machine; gives the base URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_config=None,
            # By default it closes an idle connection just when httpx would still use it.
            timeout_keep_alive=60,
            timeout_graceful_shutdown=5,
            **HTTP,
            **options,
        )
        server = Attentive(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has no event)
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task
