"""The server process that the smoke test talks to: the real application, the demo model.

It costs nothing even where a key is set. Importing the SDKs takes seconds, so it does that first
and builds the application when a line on stdin says so and names the database. The end of stdin
is its signal to stop, on every platform, and comes too when its starter dies.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from app.agent.tools import TOOLS
from app.auth import sign_in
from app.main import create_app
from dev.credentials import sample_credentials
from dev.http_server import HTTP
from engine.settings.settings import Settings
from engine.tools.toolset import Toolset

GRACEFUL_SECONDS = 5

# Whatever models are set, the demo model proves the rest.
DEMO = {"openai_api_key": None, "models": ("demo",), "demo_delay_seconds": 0.0}


def main(ready_file: Path) -> None:
    """Serve on a free port; tell it, and how the given users sign in, in `ready_file`."""
    if not (line := sys.stdin.readline()):
        return
    order = json.loads(line)
    settings = Settings(database_url=order["database_url"]).model_copy(update=DEMO)
    config = uvicorn.Config(
        create_app(settings), **HTTP, ws="none", timeout_graceful_shutdown=GRACEFUL_SECONDS
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        _announce(ready_file, listener.getsockname()[1], settings, order["user_ids"])
        threading.Thread(target=_stop_with_stdin, args=[server], daemon=True).start()
        server.run(sockets=[listener])


def _announce(ready_file: Path, port: int, settings: Settings, user_ids: list[str]) -> None:
    tool, message = _tool_to_show(settings)
    ready = {
        "url": f"http://127.0.0.1:{port}",
        "users": asyncio.run(sample_credentials(settings, user_ids, sign_in)),
        "tool": tool,
        "message": message,
    }
    draft = ready_file.with_suffix(".new")
    draft.write_text(json.dumps(ready), encoding="utf-8")
    draft.replace(ready_file)


def _tool_to_show(settings: Settings) -> tuple[str | None, str]:
    """A tool that the demo model can call, and the words that make it."""
    for tool in Toolset(TOOLS, settings).usable():
        if tool.demo_default is not None or tool.demo(tool.prompt) is not None:
            return tool.id, tool.prompt
    return None, "Hello. This is the smoke test, with a message of more than fifty characters."


def _stop_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # Everything is closed. Taking the interpreter apart, with the SDKs in it, would take a second.
    sys.stderr.flush()
    os._exit(0)
