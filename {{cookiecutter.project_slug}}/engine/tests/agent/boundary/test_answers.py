"""Answers of models: items in any order, refusals, truncated answers, and empty answers."""

from typing import Any

import pytest

from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import (
    Behaviour,
    Event,
    answer,
    called,
    chat_call,
    complete,
    failed,
    incomplete,
    refuse,
    respond,
    said,
    thought,
)
from engine.tests.talk import German, Turn

APIS = ["responses", "chat_completions"]
GERMAN = {"Accept-Language": "de-DE"}
EMPTY = ("The model gave no answer. Please try again.", True)
SEARCH: Event = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "Paris", "sources": []},
}
PICTURE: Event = {
    "type": "image_generation_call",
    "id": "ig_1",
    "status": "completed",
    "result": "iVBORw0KGgo=",
}


def told(turn: Turn) -> tuple[str, bool] | None:
    return (turn.error["message"], turn.error["allow_retry"]) if turn.error else None


def remarks(turn: Turn) -> list[str]:
    return [item["task"]["title"] for item in turn.done("task")]


ORDERS: dict[str, list[Event]] = {
    "a preamble and thoughts": [said("Let me look."), thought(), called("shout", '{"text": "x"}')],
    "thoughts in between": [
        thought("First."),
        said("One."),
        thought("Then."),
        called("shout", '{"text": "x"}'),
        said("Two."),
    ],
    "everything at once": [
        thought(),
        SEARCH,
        said("One."),
        called("shout", '{"text": "x"}'),
        thought("Hm."),
        PICTURE,
        called("shout", '{"text": "y"}', "call_2"),
        SEARCH,
        said("Two."),
    ],
}


@pytest.mark.parametrize("items", ORDERS.values(), ids=ORDERS)
async def test_items_come_in_any_order(with_server: WithServer, items: list[Event]) -> None:
    visitor, model = await with_server()
    model.does(respond(*items), respond(thought(), said("Done.")))

    turn = await visitor.say("go")

    assert turn.error is None
    assert turn.answer.endswith("Done.")
    results = [item["arguments"] for item in items if item["type"] == "function_call"]
    assert len(model.exchanges[1].results) == len(results)
    assert opened(turn) == closed(turn)
    stored = await visitor.items(turn.thread_id)
    assert all(item["workflow"]["summary"] for item in stored if item["type"] == "workflow")


def opened(turn: Turn) -> set[str]:
    return {e["item"]["id"] for e in turn.events if e["type"] == "thread.item.added"}


def closed(turn: Turn) -> set[str]:
    """The ids of opened items that were completed or removed."""
    ended = {e["item"]["id"] for e in turn.events if e["type"] == "thread.item.done"}
    ended |= {e["item_id"] for e in turn.events if e["type"] == "thread.item.removed"}
    return opened(turn) & ended


@pytest.mark.parametrize("title", [None, "Looking it up"])
async def test_reasoning_summaries_are_tasks(with_server: WithServer, title: str | None) -> None:
    visitor, model = await with_server()
    summary = f"**{title}**\n\nFirst the map." if title else "First the map."
    model.does(respond(thought(summary, "Then the sea."), said("Done.")))

    turn = await visitor.say("go")

    [workflow] = turn.done("workflow")
    tasks = [task for task in workflow["workflow"]["tasks"] if task["type"] == "thought"]
    assert [task["content"] for task in tasks] == ["First the map.", "Then the sea."]
    assert tasks[0].get("title") == title
    assert {task["status_indicator"] for task in tasks} == {"complete"}


async def test_reasoning_of_chat_completions_is_a_task(with_server: WithServer) -> None:
    visitor, model = await with_server(openai_api="chat_completions")
    model.does(
        complete(
            {"reasoning_content": "First "}, {"reasoning_content": "the map."}, {"content": "Done."}
        )
    )
    [workflow] = (await visitor.say("go")).done("workflow")
    assert [t["content"] for t in workflow["workflow"]["tasks"][1:]] == ["First the map."]


@pytest.mark.parametrize("api", APIS)
async def test_a_refusal_is_an_answer(with_server: WithServer, api: str) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(
        respond(said("I cannot ", "help.", kind="refusal"))
        if api == "responses"
        else complete({"refusal": "I cannot "}, {"refusal": "help."})
    )
    turn = await visitor.say("hello")

    assert turn.error is None
    assert turn.answer == "I cannot help."
    assert (await visitor.items(turn.thread_id))[-1]["content"][0]["text"] == "I cannot help."
    await visitor.say("why?", turn.thread_id)
    assert "I cannot help." in str(model.exchanges[1].body)


WITHHELD = "The model's content filter withheld this answer. Please put it differently."
WITHHELD_IN_GERMAN = (
    "Der Inhaltsfilter des Modells hat diese Antwort zurückgehalten. "
    "Bitte formulieren Sie es anders."
)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("headers", "words"), [({}, WITHHELD), (GERMAN, WITHHELD_IN_GERMAN)])
async def test_an_answer_that_was_filtered_completely(
    with_server: WithServer, german: German, api: str, headers: dict[str, str], words: str
) -> None:
    german({WITHHELD: WITHHELD_IN_GERMAN})
    visitor, model = await with_server(openai_api=api)
    visitor.client.headers.update(headers)
    model.does(
        respond(end=incomplete("content_filter"))
        if api == "responses"
        else complete({"role": "assistant", "content": ""}, finish_reason="content_filter")
    )
    turn = await visitor.say("hello")

    assert turn.error is None
    assert turn.answer == words


def cut_short(api: str, reason: str) -> Behaviour:
    if api == "responses":
        name = {"length": "max_output_tokens", "content_filter": "content_filter"}[reason]
        return respond(said("One two"), end=incomplete(name, said("One two")))
    return complete({"content": "One two"}, finish_reason=reason)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("reason", "language", "words"),
    [
        ("length", "en", "it reached the longest"),
        ("content_filter", "en", "content filter stopped it"),
        ("length", "de", "die größte Länge"),
        ("content_filter", "de", "der Inhaltsfilter"),
    ],
)
async def test_a_truncated_answer_has_a_remark(
    with_server: WithServer, german: German, api: str, reason: str, language: str, words: str
) -> None:
    german(
        {
            "The answer ends here: it reached the longest that the model may say.": "die größte Länge",
            "The answer ends here: the model's content filter stopped it.": "der Inhaltsfilter",
        }
    )
    visitor, model = await with_server(openai_api=api)
    visitor.client.headers["Accept-Language"] = language
    model.does(cut_short(api, reason))

    turn = await visitor.say("hello")

    assert turn.error is None
    assert turn.answer == "One two"
    [remark] = remarks(turn)
    assert words in remark
    stored = await visitor.items(turn.thread_id)
    assert [item["type"] for item in stored[-2:]] == ["assistant_message", "task"]
    # The next turn works.
    assert (await visitor.say("go on", turn.thread_id)).answer == "All is well."


@pytest.mark.parametrize("api", APIS)
async def test_an_incomplete_call_is_not_executed(with_server: WithServer, api: str) -> None:
    visitor, model = await with_server(openai_api=api)
    half = '{"text": "ha'
    model.does(
        respond(end=incomplete("max_output_tokens", called("shout", half)))
        if api == "responses"
        else complete(chat_call("shout", half), finish_reason="length")
    )
    assert told(await visitor.say("hello")) == EMPTY
    assert len(model.exchanges) == 1


NOTHING: dict[str, Behaviour] = {
    "no items": respond(),
    "an empty message": respond(said("")),
    "white space": respond(said("\n", "  ")),
    "thoughts alone": respond(thought("Hm.")),
    "thoughts in the text alone": respond(said("<think>Hm.</think>")),
    "an end without its length": respond(end=incomplete("max_output_tokens")),
    "a cut thought": respond(thought("Hm."), end=incomplete("max_output_tokens", thought("Hm."))),
    "chat: nothing": complete(),
    "chat: an empty text": complete({"role": "assistant", "content": ""}),
    "chat: thoughts alone": complete({"reasoning_content": "Hm."}),
    "chat: no room": complete({"content": ""}, finish_reason="length"),
}


@pytest.mark.parametrize("name", NOTHING)
async def test_an_empty_answer_is_an_error(with_server: WithServer, name: str) -> None:
    api = "chat_completions" if name.startswith("chat") else "responses"
    visitor, model = await with_server(openai_api=api)
    model.does(NOTHING[name], answer("Here I am."))

    turn = await visitor.say("hello")

    assert turn.error is not None
    assert turn.error["allow_retry"] is True
    if name != "chat: no room":  # the SDK raises its own error
        assert told(turn) == EMPTY
    assert turn.done("assistant_message") == []
    again = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )
    assert again.answer == "Here I am."


async def test_an_empty_answer_after_a_tool_is_an_error(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(respond(called("shout", '{"text": "x"}')), respond())
    assert told(await visitor.say("hello")) == EMPTY


@pytest.mark.parametrize("items", [[said("Here I am.")], [thought(), said("Here I am.")]])
async def test_a_message_without_deltas(with_server: WithServer, items: list[Event]) -> None:
    visitor, model = await with_server()
    model.does(respond(*items, told=False))

    turn = await visitor.say("hello")

    assert turn.answer == "Here I am."
    assert (await visitor.items(turn.thread_id))[-1]["content"][0]["text"] == "Here I am."


async def test_a_call_only_in_the_completed_response(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(respond(called("shout", '{"text": "x"}'), told=False))
    await visitor.say("hello")
    assert model.exchanges[1].results[0].startswith("X!")


async def test_text_that_the_deltas_omit(with_server: WithServer) -> None:
    visitor, model = await with_server()

    async def forgetful(exchange: Any) -> None:
        await exchange.begin()
        at = {"output_index": 0, "item_id": "m", "content_index": 0}
        whole = {"type": "output_text", "text": "One two three", "annotations": []}
        item = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
        await exchange.stream(
            [
                {"type": "response.output_text.delta", **at, "delta": "One ", "logprobs": []},
                {
                    "type": "response.output_item.done",
                    "output_index": 0,
                    "item": {**item, "content": [whole]},
                },
            ]
        )
        await respond(told=False)(exchange)

    model.does(forgetful)
    assert (await visitor.say("hello")).answer == "One two three"


ERRORS = {
    "rate_limit_exceeded": (429, "The model is busy right now. Please try again in a moment."),
    "insufficient_quota": (
        429,
        "This server has used up its account. Please tell its operator.",
    ),
    "context_length_exceeded": (
        400,
        "This conversation is too long for the model. Please start a new one, or send less at once.",
    ),
    "invalid_prompt": (
        400,
        "The model's provider does not allow this request. Please put it differently.",
    ),
    "content_policy_violation": (
        400,
        "The model's provider does not allow this request. Please put it differently.",
    ),
    "model_not_found": (
        404,
        "The model is not available. Please tell the operator of this server.",
    ),
    "invalid_api_key": (
        401,
        "The model refused this server's credentials. Please tell its operator.",
    ),
    "server_error": (500, "The model cannot be reached right now. Please try again in a moment."),
}


@pytest.mark.parametrize("code", ERRORS)
async def test_an_error_in_the_stream_has_the_same_message_as_its_status(
    with_server: WithServer, code: str
) -> None:
    visitor, model = await with_server(model_retries=0)
    status, words = ERRORS[code]
    event = {"type": "error", "sequence_number": 0, "code": code, "message": "no"}
    model.does(refuse(status, code), respond(end=failed(code)), respond(end=event))

    by_status = told(await visitor.say("hello"))
    assert by_status is not None
    assert by_status[0] == words
    assert told(await visitor.say("hello")) == by_status
    assert told(await visitor.say("hello")) == by_status


async def test_an_unknown_error(with_server: WithServer) -> None:
    visitor, model = await with_server(model_retries=0)
    model.does(refuse(400, "unheard_of"))
    assert told(await visitor.say("hello")) == ("The model could not take this request.", False)


async def test_a_failed_picture_is_removed(with_server: WithServer) -> None:
    visitor, model = await with_server()
    failure = {**PICTURE, "status": "failed", "result": None}
    model.does(respond(failure, said("I could not draw that.")))

    turn = await visitor.say("draw")

    assert turn.answer == "I could not draw that."
    assert opened(turn) == closed(turn)
    # Immediately, and not at the end of the turn.
    assert turn.story.index("thread.item.removed") < turn.story.index("assistant_message added")
    assert "generated_image" not in [i["type"] for i in await visitor.items(turn.thread_id)]


async def test_an_interrupted_picture_is_removed(with_server: WithServer) -> None:
    visitor, model = await with_server()

    async def begun(exchange: Any) -> None:
        await exchange.begin()
        item = {**PICTURE, "status": "in_progress", "result": None}
        added = {"type": "response.output_item.added", "output_index": 0, "item": item}
        await exchange.stream([added, failed("server_error")])
        await exchange.chunk("")

    model.does(begun)
    turn = await visitor.say("draw")

    assert turn.error is not None
    assert opened(turn) == closed(turn)


CITATIONS: list[tuple[Event, dict[str, Any] | None]] = [
    (
        {"type": "url_citation", "url": "https://e.test/a/b", "start_index": 0, "end_index": 3},
        {"title": "e.test/a/b", "index": 3},
    ),
    (
        {"type": "url_citation", "url": "https://e.test/a", "title": None, "end_index": 99},
        {"title": "e.test/a", "index": 9},
    ),
    ({"type": "url_citation", "url": "https://e.test/a", "title": "T"}, {"title": "T", "index": 0}),
    ({"type": "url_citation", "title": "T"}, None),
    ({"type": "url_citation", "url": "javascript:alert(1)", "title": "T"}, None),
    ({"type": "file_citation", "file_id": "f1", "index": 1}, None),
    (
        {"type": "file_citation", "file_id": "f1", "filename": "a.pdf"},
        {"title": "a.pdf", "index": 0},
    ),
    ({"type": "post_citation", "id": "1"}, None),
]


@pytest.mark.parametrize(("given", "shown"), CITATIONS)
async def test_an_invalid_citation_does_not_fail_the_answer(
    with_server: WithServer, given: Event, shown: dict[str, Any] | None
) -> None:
    visitor, model = await with_server()
    model.does(respond(said("See this.", annotations=[given])))

    turn = await visitor.say("where?")

    assert turn.error is None
    assert turn.answer == "See this."
    annotations = (await visitor.items(turn.thread_id))[-1]["content"][0]["annotations"]
    assert [{"title": a["source"]["title"], "index": a["index"]} for a in annotations] == (
        [shown] if shown else []
    )
