"""Contracts of the SDKs' private members, and the versions with which they hold."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from agents import Agent, RunConfig, Runner, RunResultStreaming, handoff
from agents.testing import ScriptedModel, assistant_message
from agents.tracing import set_trace_processors
from chatkit.agents import AgentContext, stream_agent_response
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    Page,
    ThreadItem,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadsCreateReq,
    ThreadsGetByIdReq,
    ThreadStreamEvent,
)
from packaging.requirements import Requirement

from engine.context.clock import now
from engine.context.request_context import RequestContext
from engine.models.events_before_error import EventsBeforeErrorModel
from engine.models.wrapped import WrappedModel
from engine.sdk_internals import (
    OpenChatKitServer,
    end_merged_stream,
    target_of,
    trace_processors,
)
from engine.store.store import SqlStore

ROOT = Path(__file__).parents[2]
THREAD = ThreadMetadata(id="thr_1", created_at=now(), metadata={"secret": "of the server"})


class OneThread(SqlStore):
    """Has one empty thread, and no database."""

    def __init__(self) -> None:
        pass

    async def load_thread(self, thread_id: str, context: RequestContext) -> ThreadMetadata:
        return THREAD

    async def save_thread(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    async def save_item(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    async def load_thread_items(self, *_args: Any, **_kwargs: Any) -> Page[ThreadItem]:
        return Page[ThreadItem](data=[])


class Server(OpenChatKitServer[RequestContext]):
    async def respond(self, *_args: Any) -> AsyncIterator[ThreadStreamEvent]:
        yield a_delta("x")


def an_answer(text: str) -> AssistantMessageItem:
    content = [AssistantMessageContent(text=text)]
    return AssistantMessageItem(id="msg_1", thread_id="thr_1", created_at=now(), content=content)


def a_delta(text: str) -> ThreadItemUpdatedEvent:
    update = AssistantMessageContentPartTextDelta(content_index=0, delta=text)
    return ThreadItemUpdatedEvent(item_id="msg_1", update=update)


async def test_the_server_replies_and_serializes_under_public_names() -> None:
    server = Server(OneThread())
    request = ThreadsGetByIdReq.model_validate({"params": {"thread_id": "thr_1"}})

    reply = await server.reply(request, RequestContext("somebody"))

    assert b'"id":"thr_1"' in reply
    assert b"of the server" not in reply
    assert b"of the server" not in server.response_of(THREAD).model_dump_json().encode()
    assert b'"delta":"x"' in server.serialize(a_delta("x"))


async def test_the_server_streams_under_a_public_name() -> None:
    said: dict[str, Any] = {"content": [], "attachments": [], "inference_options": {}}
    request = ThreadsCreateReq.model_validate({"params": {"input": said}})

    stream = Server(OneThread()).stream(request, RequestContext("somebody"))
    events = b"".join([chunk async for chunk in stream])

    assert events.startswith(b'data: {"type":"thread.created"')
    assert b'"delta":"x"}}\n\n' in events


def test_pending_items_take_their_updates() -> None:
    pending: dict[str, ThreadItem] = {"msg_1": an_answer("Hel")}
    Server(OneThread()).update_pending(pending, a_delta("lo"))
    assert cast("AssistantMessageItem", pending["msg_1"]).content[0].text == "Hello"


async def test_the_merge_of_events_can_be_ended() -> None:
    class Silent:
        async def stream_events(self) -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield

    context = AgentContext[Any](thread=THREAD, store=OneThread(), request_context=None)
    end_merged_stream(context)
    events = stream_agent_response(context, cast("RunResultStreaming", Silent()))

    assert (await anext(events)).type == "progress_update"


def test_a_handoff_knows_its_agent() -> None:
    lawyer = Agent[Any](name="Lawyer")
    assert target_of(handoff(lawyer)) is lawyer
    assert target_of(object()) is None


class ModelFails(Exception):
    pass


class Failing(WrappedModel):
    """Sends all its events and then an error, before any reader is woken."""

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for event in [e async for e in self._model.stream_response(*args, **kwargs)][:-1]:
            yield event
        raise ModelFails


async def read(model: WrappedModel) -> list[str]:
    result = Runner.run_streamed(
        Agent[Any](name="Clerk", model=model), "hello", run_config=RunConfig(tracing_disabled=True)
    )
    assert result.run_loop_task is not None
    await asyncio.wait({result.run_loop_task})
    seen: list[str] = []
    with suppress(ModelFails):
        async for event in result.stream_events():
            seen.append(event.data.type if event.type == "raw_response_event" else event.type)
    return seen


async def test_the_events_before_an_error_are_kept() -> None:
    def failing() -> Failing:
        return Failing(ScriptedModel([[assistant_message("Hello.")]]))

    assert "response.output_text.delta" not in await read(failing())  # or it is not needed any more
    assert "response.output_text.delta" in await read(EventsBeforeErrorModel(failing()))


def versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


SDKS = ("openai", "openai-agents", "openai-chatkit")


@pytest.mark.parametrize("sdk", SDKS)
def test_the_readme_names_the_versions_that_were_tested(sdk: str) -> None:
    readme = (ROOT / "engine" / "README.md").read_text(encoding="utf-8")
    assert f"`{sdk}` {versions()[sdk]}" in readme


@pytest.mark.parametrize("sdk", SDKS)
def test_the_sdks_have_an_upper_bound(sdk: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [r.specifier for r in map(Requirement, project["dependencies"]) if r.name == sdk]
    assert all(versions()[sdk] in specifier for specifier in required)
    assert any("99" not in specifier for specifier in required)


def test_the_processors_of_traces_are_found() -> None:
    before = trace_processors()
    set_trace_processors([])
    assert trace_processors() == []
    set_trace_processors(before)
    assert trace_processors() == before
