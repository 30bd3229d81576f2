"""Web search: OpenAI runs it, and we show its tasks and sources."""

from collections.abc import AsyncIterator
from typing import Any

from agents import WebSearchTool
from agents.testing import ScriptedModel, assistant_message
from openai.types.responses import (
    ResponseFunctionWebSearch,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
)
from openai.types.responses.response_function_web_search import ActionSearch, ActionSearchSource

from app.agent.tool_list import TOOLS
from app.agent.tools.web_search import WEB_SEARCH
from engine.demo.model import DemoModel
from engine.settings.settings import Settings
from engine.tests.fixtures import Scripted
from engine.tests.talk import Visitor
from engine.tools.toolset import Toolset


def search(*, finished: bool) -> ResponseFunctionWebSearch:
    sources = [ActionSearchSource(type="url", url="https://example.com/a")] if finished else None
    return ResponseFunctionWebSearch(
        id="ws_1",
        type="web_search_call",
        status="completed" if finished else "in_progress",
        action=ActionSearch(type="search", query="news", queries=["news"], sources=sources),
    )


class Searching(DemoModel):
    """Streams the events of a search with the Responses API, then an answer."""

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        yield ResponseOutputItemAddedEvent(
            type="response.output_item.added",
            item=search(finished=False),
            output_index=0,
            sequence_number=0,
        )
        yield ResponseOutputItemDoneEvent(
            type="response.output_item.done",
            item=search(finished=True),
            output_index=0,
            sequence_number=1,
        )
        async for event in super().stream_response(*args, **kwargs):
            yield event


async def test_a_search_is_shown_with_its_queries_and_sources(with_model: Scripted) -> None:
    visitor = await with_model(Searching(0))

    turn = await visitor.say("What is new?")

    story = [line for line in turn.story if "web" in line or line.startswith("workflow")]
    assert story == [
        "workflow added",
        "workflow.task.updated: Analyzing request (complete)",
        "workflow.task.added: Searching the web (loading)",
        "workflow.task.updated: Searched the web (complete)",
        "workflow done",
    ]
    [workflow] = turn.done("workflow")
    task = workflow["workflow"]["tasks"][1]
    assert task["type"] == "web_search"
    assert task["queries"] == ["news"]
    assert [source["url"] for source in task["sources"]] == ["https://example.com/a"]


async def test_the_demo_model_says_that_it_needs_a_key(visitor: Visitor) -> None:
    turn = await visitor.say("What is new?", tool="web_search")

    assert "OPENAI_API_KEY" in turn.answer


def test_it_is_offered_only_on_the_responses_api(settings: Settings) -> None:
    with_key = settings.model_copy(update={"openai_api_key": "sk-test"})
    assert WEB_SEARCH in Toolset(TOOLS, with_key).usable()
    completions = with_key.model_copy(update={"openai_api": "chat_completions"})
    assert WEB_SEARCH not in Toolset(TOOLS, completions).usable()


async def test_sources_are_requested(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model)
    await visitor.say("What is new?", tool="web_search")

    [call] = model.calls
    assert call.model_settings.response_include == ["web_search_call.action.sources"]
    assert call.model_settings.tool_choice == "required"
    assert any(isinstance(tool, WebSearchTool) for tool in call.tools)
