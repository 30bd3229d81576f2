"""Private members of the ChatKit and Agents SDKs: the only module that uses them.

Each has a contract test in `engine/tests/test_sdk_internals.py`, which fails when a new version of
an SDK changes what is used here. The versions that are allowed are in pyproject.toml.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar, cast

from agents import Agent, ModelSettings
from agents.exceptions import _mark_error_to_drain_stream_events
from agents.tracing import TracingProcessor, get_trace_provider
from chatkit.agents import AgentContext
from chatkit.server import ChatKitServer
from chatkit.types import (
    NonStreamingReq,
    ProgressUpdateEvent,
    StreamingReq,
    Thread,
    ThreadItem,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
)

Context = TypeVar("Context")


class OpenChatKitServer(ChatKitServer[Context]):
    """The SDK's server with the steps of `process` under public names."""

    def stream(self, request: StreamingReq, context: Context) -> AsyncGenerator[bytes, None]:
        """The server-sent events of a request that is already parsed."""
        return self._process_streaming(request, context)

    async def reply(self, request: NonStreamingReq, context: Context) -> bytes:
        """The JSON for a request that is already parsed."""
        return await self._process_non_streaming(request, context)

    def serialize(self, event: ThreadStreamEvent) -> bytes:
        return self._serialize(event)

    def response_of(self, thread: ThreadMetadata) -> Thread:
        """The thread as clients get it: without what is for the server alone."""
        return self._to_thread_response(thread)

    def update_pending(self, pending: dict[str, ThreadItem], event: ThreadItemUpdatedEvent) -> None:
        """Apply an update to its item among those that have not ended."""
        self._update_pending_items(pending, event)


class CompletionsHooks:
    """Mixin before a Chat Completions model of the Agents SDK: opens two of its steps."""

    async def fetch(
        self, settings: ModelSettings, send: Callable[[ModelSettings], Awaitable[Any]]
    ) -> Any:
        """Send a request with these settings or others, and return what the SDK is to read."""
        return await send(settings)

    def reasoning_effort(self, settings: ModelSettings) -> Any | None:
        """The effort that the SDK goes by; None if the settings have none."""
        return cast("Any", super())._get_reasoning_effort(settings)

    async def _fetch_response(
        self, instructions: Any, input: Any, settings: ModelSettings, *args: Any, **more: Any
    ) -> Any:
        fetch = cast("Any", super())._fetch_response

        def send(changed: ModelSettings) -> Awaitable[Any]:
            return cast("Awaitable[Any]", fetch(instructions, input, changed, *args, **more))

        return await self.fetch(settings, send)

    def _get_reasoning_effort(self, settings: ModelSettings) -> Any | None:
        return self.reasoning_effort(settings)


def trace_processors() -> list[TracingProcessor]:
    """Those that get the SDK's traces, in order. (There are public ways to add and to replace.)"""
    provider: Any = get_trace_provider()
    return list(provider._multi_processor._processors)


def end_merged_stream(context: AgentContext[Any]) -> None:
    """End the task with which the SDK's merge still waits for an event of the context."""
    context._events.put_nowait(ProgressUpdateEvent(text=""))


def keep_events_before(error: Exception) -> None:
    """Let the SDK pass on the events before this error. By default it drops those in its queue."""
    _mark_error_to_drain_stream_events(error)


def target_of(handoff: Any) -> Agent[Any] | None:
    """The agent that `handoff(agent)` leads to, of which it keeps a weak reference."""
    reference = getattr(handoff, "_agent_ref", None)
    target = reference() if reference is not None else None
    return target if isinstance(target, Agent) else None
