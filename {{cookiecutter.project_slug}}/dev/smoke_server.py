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
from typing import TextIO

import uvicorn
from fastapi import FastAPI

from app.agent.tool_list import TOOLS
from app.auth import sign_in
from app.main import create_app
from engine.auth.credentials import sample_credentials
from engine.http.included import prefix_in
from engine.operate.server_options import HTTP
from engine.operate.smoke import MESSAGE
from engine.settings.settings import Settings
from engine.tools.toolset import Toolset

GRACEFUL_SECONDS = 5

# Whatever models are set, the demo model proves the rest.
DEMO = {"openai_api_key": None, "models": ("demo",), "demo_delay_seconds": 0.0}


class AnnouncedServer(uvicorn.Server):
    """Writes a line to `out` when it answers: its address, how users sign in, what to say."""

    def __init__(self, app: FastAPI, ready: dict[str, object], out: TextIO) -> None:
        graceful = {"ws": "none", "timeout_graceful_shutdown": GRACEFUL_SECONDS}
        super().__init__(uvicorn.Config(app, port=0, **{**HTTP, **graceful}))
        self._prefix, self._ready, self._out = prefix_in(app), ready, out

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            ready = {"url": f"http://127.0.0.1:{port}{self._prefix}", **self._ready}
            print(json.dumps(ready), file=self._out, flush=True)


def main(out: TextIO) -> None:
    """Serve on a free port, which a line on `out` tells."""
    if not (line := sys.stdin.readline()):
        return
    order = json.loads(line)
    settings = Settings(database_url=order["database_url"]).model_copy(update=DEMO)
    tool = Toolset(TOOLS, settings).for_demo()
    users = asyncio.run(sample_credentials(settings, order["user_ids"], sign_in))
    message = tool.prompt if tool else MESSAGE
    ready: dict[str, object] = {"users": users, "tool": tool and tool.id, "message": message}
    server = AnnouncedServer(create_app(settings), ready, out)
    threading.Thread(target=_stop_with_stdin, args=[server], daemon=True).start()
    server.run()


def _stop_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    # Whatever else is printed belongs into the log.
    announcements, sys.stdout = sys.stdout, sys.stderr
    main(announcements)
    # Everything is closed. Taking the interpreter apart, with the SDKs in it, would take a second.
    sys.stderr.flush()
    os._exit(0)
