"""What a tool can reach while a turn runs."""

import asyncio

from chatkit.agents import AgentContext
from chatkit.types import ProgressUpdateEvent, ThreadStreamEvent
from pydantic import PrivateAttr

from app.chat.context import RequestContext
from app.db import Database


class TurnContext(AgentContext[RequestContext]):
    """The SDK's agent context (widgets, client tools, workflow) and the user's own rows.

    Tools build their repositories from `database` and `user_id`, so none can reach another user.
    """

    database: Database

    _sent: ThreadStreamEvent | None = PrivateAttr(default=None)
    _arrived: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def user_id(self) -> str:
        return self.request_context.user_id

    async def stream(self, event: ThreadStreamEvent) -> None:
        self._sent = event
        self._arrived.clear()
        await super().stream(event)

    def arrived(self, event: ThreadStreamEvent) -> None:
        """The reader of the merged stream says which event has come out of it."""
        if event is self._sent:
            self._arrived.set()

    async def flush(self) -> None:
        """Wait until the event streamed last has come out.

        The SDK merges events sent from here with those of the model in no set order; who needs
        them in order waits before letting the model's next event through.
        """
        if self._sent is not None:
            await self._arrived.wait()

    def release(self) -> None:
        """End every wait: the turn is over."""
        self._sent = None
        self._arrived.set()
        # The SDK's merge leaves a task behind that waits for one more event.
        self._events.put_nowait(ProgressUpdateEvent(text=""))
