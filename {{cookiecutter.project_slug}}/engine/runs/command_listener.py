"""Receives the stop and leave commands that other workers sent (LISTEN/NOTIFY)."""

import asyncio
import json
import logging
from collections.abc import Callable

import asyncpg

from engine.database.database import CONNECT_SECONDS, is_unreachable
from engine.settings.database_url import connect_options

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 2.0
# A connection that broke unnoticed is found by a statement now and then.
PING_SECONDS = 15.0


class CommandListener:
    """LISTENs on a connection of its own, and connects again whenever that is lost.

    `apply` is called with user id, run id and command. A command that is sent while the connection
    is lost is found by the next checkpoint of its run.
    """

    def __init__(self, url: str, channel: str, apply: Callable[[str, str, str], object]) -> None:
        self._options = connect_options(url, seconds=CONNECT_SECONDS)
        self._channel = channel
        self._apply = apply
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_listening())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                if not is_unreachable(error):
                    logger.exception("LISTEN failed")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(**self._options)
        try:
            await connection.add_listener(self._channel, self._receive)
            while True:
                await asyncio.sleep(PING_SECONDS)
                await connection.execute("SELECT 1", timeout=CONNECT_SECONDS)
        finally:
            connection.terminate()

    def _receive(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        sent = json.loads(str(payload))
        self._apply(sent["user_id"], sent["run_id"], sent["command"])
