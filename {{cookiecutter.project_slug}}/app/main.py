"""The application, put together: `uvicorn app.main:create_app --factory`."""

import gc
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

from fastapi import Depends, FastAPI

from app.agent import tools
from engine import dictation as dictations
from engine.attachments import KINDS, MORE_TYPES, ROUTERS
from engine.attachments.base import Attachments
from engine.auth import CHECKS, STYLES
from engine.auth.base import Authenticator
from engine.context.ids import uuid7
from engine.database.database import Database
from engine.database.sequence import SequenceWatch
from engine.http.errors import install_error_handlers
from engine.http.logs import configure_logging
from engine.http.request_id import RequestIdMiddleware
from engine.http.security_headers import SecurityHeadersMiddleware, security_headers
from engine.models.source import ModelSource
from engine.operate import health
from engine.operate.shutdown import Shutdown
from engine.operate.start import one_line_for_unusable_settings
from engine.page import embedding, telemetry
from engine.page import routes as web
from engine.protocol import router as chat
from engine.protocol.admission import Admission
from engine.runs.recovery import Recovery
from engine.runs.run_store import CHANNEL, RunStore
from engine.runs.runs import Runs
from engine.runs.signals import Signals
from engine.settings.settings import Settings
from engine.store.store import SqlStore
from engine.text.locales import joined
from engine.tools.services import ToolServices
from engine.turn.actions import Actions
from engine.turn.server import ChatServer


def create_app(settings: Settings | None = None, models: ModelSource | None = None) -> FastAPI:
    """Build the application. Raises ValueError when a setting is missing or unusable.

    Without `settings` they come from the environment, and one that is missing or unusable ends
    the process with one line that says so. `models` replaces where answers come from.
    """
    if settings is None:
        with one_line_for_unusable_settings():
            return _build(Settings(), models)
    return _build(settings, models)


def _build(settings: Settings, models: ModelSource | None) -> FastAPI:
    settings.check_keys()
    configure_logging(settings.log_level)
    if settings.database_url is None:
        raise ValueError(
            "DATABASE_URL is not set. `python -m app dev` starts a development database; "
            "elsewhere set it to postgresql+asyncpg://user:password@host/name."
        )
    database = Database.from_settings(settings, settings.database_url)
    models = models or ModelSource(settings)
    attachments: Attachments = KINDS[0](settings, database, MORE_TYPES)
    dictation = dictations.KINDS[0](models)
    store = SqlStore(database, attachments)
    actions = Actions(database, store)
    authenticator: Authenticator = STYLES[0](settings, database)
    attachments.shared_limits = authenticator.shared_limits
    run_store = RunStore(settings, database, worker=_worker(), shared=authenticator.shared_limits)
    runs = Runs(settings, database, run_store, store)
    services = ToolServices(tool.service for tool in tools.TOOLS if tool.service)

    app = FastAPI(
        title="Chat",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.openapi_json else None,
        dependencies=[Depends(check(settings)) for check in CHECKS],
    )
    app.state.settings = settings
    app.state.database = database
    app.state.models = models
    app.state.attachments = attachments
    app.state.dictation = dictation
    app.state.page_options = web.merged(attachments.page_options(), dictation.page_options())
    app.state.translations = joined(attachments.translations, dictation.translations)
    app.state.store = store
    app.state.run_store = run_store
    app.state.sequence = SequenceWatch()
    app.state.runs = runs
    app.state.actions = actions
    app.state.signals = Signals(
        settings.database_direct_url or settings.database_url, CHANNEL, runs.grant
    )
    app.state.recovery = Recovery(database, run_store, runs.has)
    app.state.authenticator = authenticator
    app.state.admission = Admission(settings, store, run_store, runs, attachments, dictation)
    app.state.telemetry = telemetry.Allowance(settings.telemetry_per_minute)
    app.state.services = services
    app.state.chat = ChatServer(
        settings, database, store, models, services, actions, attachments, dictation
    )

    headers = security_headers(
        settings, connect=attachments.upload_origins(), microphone=dictation.listens
    )
    pages = authenticator.pages
    app.add_middleware(
        SecurityHeadersMiddleware,
        headers=headers,
        settings=settings,
        windows=pages.windows if pages else (),
    )
    app.add_middleware(RequestIdMiddleware)
    install_error_handlers(app)
    app.include_router(health.router)
    app.include_router(chat.router)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(web.router)
    app.include_router(embedding.router)
    app.include_router(telemetry.router)
    if authenticator.pages is not None:
        app.include_router(authenticator.pages.router)
    web.mount_static(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    _keep_what_was_imported()
    if app.state.settings.is_demo:
        logging.getLogger(__name__).warning("OPENAI_API_KEY is not set: the demo model answers")
    async with AsyncExitStack() as stack:
        # Closed in the opposite order: the runs end while everything is still there.
        stack.push_async_callback(app.state.database.dispose)
        stack.push_async_callback(app.state.models.close)
        stack.push_async_callback(app.state.authenticator.close)
        stack.push_async_callback(app.state.services.close)
        await app.state.services.start()
        for service in (app.state.signals, app.state.recovery, app.state.attachments):
            service.start()
            stack.push_async_callback(service.close)
        stack.push_async_callback(app.state.runs.close)
        with Shutdown(app.state.runs.drain):
            yield


@cache
def _keep_what_was_imported() -> None:
    """It stays for good. To look through it for garbage, again and again, would hold up every
    answer for a third of a second each time.
    """
    gc.freeze()


def _worker() -> str:
    """This process, among all that share the database."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid7().hex[-8:]}"
