"""The chat, put together."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, params
from starlette.routing import Route

from engine.auth.base import SignIn
from engine.auth.current import signed_in_by
from engine.auth.same_origin import SameOrigin
from engine.context.ids import uuid7
from engine.database.database import Base, Database
from engine.database.run_commands import CHANNEL
from engine.demo.model import DemoModel
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.http.included import router_of
from engine.http.logs import configure_logging
from engine.http.request_id import RequestIdMiddleware
from engine.http.security_headers import SecurityHeadersMiddleware, security_headers
from engine.models.prices import Prices
from engine.models.source import ModelSource
from engine.operate import health
from engine.operate.privacy.own_data import DataOfUsers
from engine.operate.privacy.retention import Retention, Sweeper
from engine.operate.shutdown import Shutdown
from engine.operate.webhook import Webhook
from engine.options import Attachments, BuildAttachments, BuildDictation, Dictation
from engine.page import routes as page_routes
from engine.page import telemetry as page_telemetry
from engine.page.files import STATIC_PATH, PageFiles
from engine.page.hashed_pages import HashedPages
from engine.protocol import router as protocol
from engine.protocol.admission import Admission
from engine.runs.budgets import Budgets
from engine.runs.command_listener import CommandListener
from engine.runs.recovery import Recovery
from engine.runs.run_store import RunStore
from engine.runs.runs import Runs
from engine.settings.settings import MODEL_KEY, Settings
from engine.speed.garbage import never_search_imports
from engine.store.store import SqlStore
from engine.telemetry import setup as telemetry
from engine.telemetry.requests import REQUESTS
from engine.text.locales import load_translations
from engine.tools.services import ToolServices
from engine.tools.tool import AgentTool
from engine.tools.toolset import Toolset
from engine.turn.actions import Actions
from engine.turn.parts import BuildAgent, Parts
from engine.turn.server import ChatServer

logger = logging.getLogger(__name__)

OPENAPI_PATH = "/openapi.json"


class Chat:
    """One chat: its page, its protocol, and everything behind them.

    `agent` is called for each turn and gives the agent that answers. `page` is the folder of the
    page: index.html, page.toml, theme.css, pictures, and other pages beside it. `sign_in`,
    `attachments` and `dictation` are called once and give a part of the engine or of the
    application. Without `attachments` no message carries a file; without `dictation` nobody
    dictates. `models` replaces where answers come from. `extensions` add routes and middleware of
    their own. Raises ValueError when a setting is missing or unusable.
    """

    telemetry = REQUESTS  # for `FastAPI(telemetry=…)`

    def __init__(
        self,
        settings: Settings,
        *,
        agent: BuildAgent,
        tools: Sequence[AgentTool],
        page: Path,
        sign_in: SignIn,
        attachments: BuildAttachments | None = None,
        dictation: BuildDictation | None = None,
        models: ModelSource | None = None,
        extensions: Sequence["Extension"] = (),
    ) -> None:
        settings.check_keys()
        settings = settings.named(page_routes.page_texts(page).name)
        load_translations()
        configure_logging(
            settings.log_level, log_format=settings.log_format, errors=settings.log_errors
        )
        if settings.database_url is None:
            raise ValueError(
                "DATABASE_URL is not set. `python3 -m app dev` starts a development database; "
                "elsewhere set it to postgresql+asyncpg://user:password@host/name."
            )
        self.settings = settings
        self.page = page
        self.files = PageFiles(page, plain_modules=settings.plain_modules)
        self.database = Database.from_settings(settings, settings.database_url)
        toolset = Toolset(tools, settings)
        self.models = models or ModelSource(
            settings, DemoModel(settings.demo_delay_seconds, toolset)
        )
        more_types = [kind for tool in tools for kind in tool.reads]
        self.attachments = attachments and attachments(settings, self.database, more_types)
        self.dictation = dictation and dictation(self.models)
        self.store = SqlStore(self.database, self.attachments)
        self.authenticator = sign_in(settings, self.database)
        shared_limits = self.authenticator.shared_limits
        if self.attachments is not None:
            self.attachments.shared_limits = shared_limits
        webhook = Webhook(settings)
        self.budgets = (
            Budgets(settings, self.database, webhook.announce) if settings.has_budgets else None
        )
        self.run_store = RunStore(settings, self.database, worker=_worker(), shared=shared_limits)
        self.run_store.budgets = self.budgets
        self.runs = Runs(settings, self.database, self.run_store)
        self.services = ToolServices(tool.service for tool in tools if tool.service)
        self.parts = Parts(
            settings=settings,
            database=self.database,
            store=self.store,
            models=self.models,
            prices=Prices(settings),
            toolset=toolset,
            services=self.services,
            build_agent=agent,
            attachments=self.attachments,
            dictation=self.dictation,
        )
        self.actions = Actions(self.database, self.store, toolset)
        self.server = ChatServer(self.parts, self.actions)
        self.admission = Admission(self.parts, self.run_store, self.runs)
        self.command_listener = CommandListener(
            settings.database_direct_url or settings.database_url, CHANNEL, self.runs.apply
        )
        self.recovery = Recovery(self.database, self.run_store, self.runs.has)
        retention = Retention(
            settings.retention_days, self.authenticator.visitor_days, self.authenticator.visitors
        )
        self.sweeper = Sweeper(self.database, retention, self.attachments)
        self._is_started = False
        self._routers = self._make_routers()
        self.app = self._app(extensions)
        self.router = router_of(self.app, self._paths)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """`FastAPI(lifespan=chat.lifespan)`, for an application that starts nothing else."""
        async with self.running():
            yield

    def protect(self, app: FastAPI) -> None:
        """Give the routes beside the chat's its headers, request ids and error bodies."""
        app.router.dependencies.extend(self._checks)
        app.add_middleware(SecurityHeadersMiddleware, **self._headers)
        app.add_middleware(RequestIdMiddleware)
        install_error_handlers(app, Addresses(self.settings), self.authenticator.forget)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start what goes on beside the requests, and end it. For the application's lifespan."""
        never_search_imports()
        if self.settings.is_demo:
            logger.warning("%s is not set: the demo model answers", MODEL_KEY)
        async with AsyncExitStack() as stack:
            tables = Base.metadata.tables
            await stack.enter_async_context(
                telemetry.exporting(self.settings, self.database.engine, tables)
            )
            # Closed in the opposite order: the runs end while everything is still there.
            stack.push_async_callback(self.database.dispose)
            stack.push_async_callback(self.models.close)
            stack.push_async_callback(self.authenticator.close)
            stack.push_async_callback(self.services.close)
            await self.services.start()
            await asyncio.to_thread(self.parts.prices.load)
            for service in (self.command_listener, self.recovery, self.sweeper):
                service.start()
                stack.push_async_callback(service.close)
            if self.attachments is not None:
                self.attachments.start()
                stack.push_async_callback(self.attachments.close)
            if self.budgets is not None:
                stack.push_async_callback(self.budgets.close)
            stack.push_async_callback(self.runs.close)
            # The routers' own: `app` is never started as an application of its own.
            await stack.enter_async_context(self.app.router.lifespan_context(self.app))
            self._is_started = True
            with Shutdown(self.runs.drain):
                yield

    def _app(self, extensions: Sequence["Extension"]) -> FastAPI:
        settings = self.settings
        app = FastAPI(
            title=self.settings.application_name,
            docs_url=None,
            redoc_url=None,
            openapi_url=OPENAPI_PATH if settings.openapi_json else None,
            telemetry=self.telemetry,
        )
        self._routers += [extend(self, app) for extend in extensions]
        self._routers.append(page_routes.other_routes(settings, self.authenticator, self.page))
        app.add_middleware(HashedPages, files=self.files)
        self.protect(app)
        for router in self._routers:
            app.include_router(router)
        page_routes.mount_static(app, self.files)
        return app

    @property
    def _options(self) -> list[Attachments | Dictation]:
        """The parts that this application has and another may not have."""
        return [part for part in (self.attachments, self.dictation) if part is not None]

    @property
    def _checks(self) -> list[params.Depends]:
        return [Depends(SameOrigin(self.settings))] if self.authenticator.checks_origin else []

    @property
    def _headers(self) -> dict[str, Any]:
        return {
            "headers": security_headers(
                self.settings,
                connect=self.attachments.upload_origins() if self.attachments else (),
                microphone=self.dictation is not None,
            ),
            "settings": self.settings,
        }

    def _make_routers(self) -> list[APIRouter]:
        settings, toolset = self.settings, self.parts.toolset
        signed_in = signed_in_by(self.authenticator)
        extras = page_routes.merged(*(part.page_options() for part in self._options))
        own = page_routes.OwnPage(self.page, extras)
        allowance = page_telemetry.Allowance(settings.telemetry_per_minute)
        pages = self.authenticator.pages
        return [
            health.routes(settings, self.database, self.runs, lambda: self._is_started),
            protocol.routes(self.server, self.admission, signed_in),
            *(self.attachments.routes(self.authenticator) if self.attachments else ()),
            page_routes.routes(settings, toolset, self.authenticator, own),
            page_telemetry.routes(allowance, signed_in),
            *([pages.router] if pages else []),
            *self.authenticator.own_data_routes(DataOfUsers(self.database, self.attachments)),
        ]

    @property
    def _paths(self) -> Iterator[str]:
        for router in self._routers:
            for route in router.routes:
                if not isinstance(route, Route):
                    raise TypeError(
                        f"{route} is no plain route: a router of the chat holds others."
                    )
                yield route.path
        yield STATIC_PATH + "/{path:path}"
        if self.settings.openapi_json:
            yield OPENAPI_PATH


Extension = Callable[[Chat, FastAPI], APIRouter]
"""Gives its routes, and may add middleware to the chat's own application."""


def _worker() -> str:
    """This process, among all that share the database."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid7().hex[-8:]}"
