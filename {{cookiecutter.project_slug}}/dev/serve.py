"""`python3 -m app dev`: the application with reload, on a database that is ready."""

import argparse
import importlib
import os
from contextlib import ExitStack

import uvicorn

from dev.database import running_database
from dev.options import COMPANIONS
from dev.paths import PROJECT_ROOT
from engine.operate.commands.migrate import upgrade
from engine.operate.port import address, port_problem
from engine.operate.server_options import HTTP
from engine.settings.settings import Settings

GRACEFUL_SECONDS = 5
# A reload waits this long for open answers.
SHUTDOWN_SECONDS = "1"


def serve(options: argparse.Namespace) -> int:
    host, port = options.host, options.port
    if problem := port_problem(host, port):
        print(problem)
        return 1
    settings = Settings()
    os.environ.setdefault("SHUTDOWN_SECONDS", SHUTDOWN_SECONDS)
    os.environ.setdefault("OPENAPI_JSON", "true")
    os.environ.setdefault("PLAIN_MODULES", "true")
    os.environ.setdefault("LOG_ERRORS", "everything")
    with running_database(settings) as url, ExitStack() as stack:
        upgrade(url)
        print(f"The chat is at {address(host, port)} (Ctrl-C ends it)", flush=True)
        for name in COMPANIONS:
            stack.enter_context(importlib.import_module(name).beside(host, port))
        uvicorn.run(
            "app.main:create_app",
            factory=True,
            host=host,
            port=port,
            reload=True,
            reload_dirs=[str(PROJECT_ROOT / name) for name in ("app", "engine")],
            reload_includes=["*.py", "*.md"],
            # There is no proxy in front whose headers could be trusted.
            proxy_headers=False,
            **HTTP,
            ws="none",  # nothing here speaks WebSocket, and importing it takes time
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            log_level=settings.log_level.lower(),
        )
    return 0
