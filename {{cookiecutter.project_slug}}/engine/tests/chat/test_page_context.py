from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from agents import Model, ModelResponse
from agents.items import TResponseStreamEvent

from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import Visitor, message
from engine.turn.page_context import with_page_context


class Listening(Model):
    """The demo model, which keeps what it was asked."""

    def __init__(self) -> None:
        self._demo = demo_model()
        self.asked: list[Any] = []

    async def stream_response(
        self, system_instructions: str | None, input: Any, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        self.asked.append(input)
        async for event in self._demo.stream_response(system_instructions, input, *args, **kwargs):
            yield event

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._demo.get_response(*args, **kwargs)


async def ask(visitor: Visitor, page: object, thread_id: str | None = None) -> Any:
    params: dict[str, Any] = {"input": message("what is this?")}
    kind = "threads.create"
    if thread_id is not None:
        kind, params = "threads.add_user_message", params | {"thread_id": thread_id}
    body = {"type": kind, "params": params, "metadata": {"page": page}}
    return await visitor.client.post("/chatkit", json=body)


async def test_the_model_is_told_of_the_page_and_the_conversation_is_not(
    with_model: Scripted,
) -> None:
    model = Listening()
    visitor = await with_model(model)

    response = await ask(visitor, {"order": "7", "title": "Größe"})

    assert response.status_code == 200
    [asked] = model.asked
    [told] = asked
    assert [part["text"] for part in told["content"]] == [
        "what is this?",
        '[The page around this chat: {"order": "7", "title": "Größe"}]',
    ]
    assert "order" not in response.text


def test_it_stands_at_the_end_of_the_newest_message() -> None:
    said = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]

    told = with_page_context(cast("Any", said), {"order": "7"})

    assert [item["content"] for item in cast("Any", told)] == [
        "user",
        "assistant",
        [
            {"type": "input_text", "text": "user"},
            {"type": "input_text", "text": '[The page around this chat: {"order": "7"}]'},
        ],
        "assistant",
    ]
    assert with_page_context(cast("Any", said), {}) == said


@pytest.mark.parametrize(
    "page",
    [
        "order 7",
        ["order"],
        {"order": 7},
        {"order": {"id": "7"}},
        {"": "7"},
        {"x" * 51: "7"},
        {"order": "x" * 501},
        {str(number): "x" for number in range(21)},
    ],
)
async def test_what_is_too_much_is_refused(visitor: Visitor, page: object) -> None:
    response = await ask(visitor, page)

    assert response.status_code == 422
    assert "metadata.page" in response.json()["error"]["message"]


async def test_no_page_is_no_context(visitor: Visitor) -> None:
    assert (await ask(visitor, None)).status_code == 200
    assert (await ask(visitor, {})).status_code == 200
