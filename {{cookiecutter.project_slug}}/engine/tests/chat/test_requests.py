"""Every request that is refused, with its status, before a stream opens."""

import logging
from contextlib import suppress
from typing import Any, get_args

import chatkit.server
import httpx2
import pytest
from chatkit.types import (
    ChatKitReq,
    ClosedStatus,
    LockedStatus,
    StructuredInputFreeform,
    StructuredInputItem,
    ThreadMetadata,
)

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.http import request_body
from engine.protocol.admission import ADMISSIONS, Admission
from engine.settings.settings import Settings
from engine.store.store import SqlStore
from engine.tests.application import create_app
from engine.tests.talk import Visitor, message


def assert_refused(response: httpx2.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert body["message"] == body["error"]["message"], "where the element reads it"
    assert body["request_id"] == response.headers["x-request-id"]


async def test_a_body_that_stalls_is_given_up(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "IDLE_SECONDS", 0.2)
    headers = {"Content-Type": "application/json", "Content-Length": "100"}

    assert await visitor.post_without_end("/chatkit", headers, [b"{"]) == 408


async def test_a_body_that_drips_is_given_up(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.2)
    headers = {"Content-Type": "application/json", "Content-Length": "100"}

    assert await visitor.post_without_end("/chatkit", headers, [b"{"]) == 408


async def test_without_credentials(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as nobody:
        response = await nobody.post("/chatkit", json={"type": "threads.list", "params": {}})
    assert_refused(response, 401, "unauthenticated")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"NaN", b'{"type": "\\ud800"}', b"[" * 100_000],
    ids=["empty", "cut off", "not UTF-8", "NaN", "half a surrogate", "deep"],
)
async def test_what_is_not_json(visitor: Visitor, body: bytes) -> None:
    assert_refused(await visitor.client.post("/chatkit", content=body), 400, "malformed_request")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"type": "threads.explode", "params": {}},
        {"type": "threads.get_by_id"},
        {"type": "threads.get_by_id", "params": {"thread_id": 7}},
        {"type": "threads.list", "params": {}, "session_id": "no spaces"},
        {"type": "threads.list", "params": {}, "session_id": 7},
    ],
)
async def test_what_is_no_chatkit_request(visitor: Visitor, body: Any) -> None:
    assert_refused(await visitor.client.post("/chatkit", json=body), 422, "invalid_request")


async def test_what_is_too_large(visitor: Visitor) -> None:
    body = b" " * 1_000_001
    assert_refused(await visitor.client.post("/chatkit", content=body), 413, "request_too_large")


async def test_what_is_too_large_and_does_not_say_so(visitor: Visitor) -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b" " * 100_000

    response = await visitor.client.post("/chatkit", content=chunks())
    assert_refused(response, 413, "request_too_large")


async def test_what_is_too_large_is_not_read_to_its_end(
    visitor: Visitor, settings: Settings
) -> None:
    """Nor to its beginning, when it says so."""
    declared = {"Content-Length": str(10**12)}
    assert await visitor.post_without_end("/chatkit", declared) == 413

    # A dictation may be longer than other requests, and which one this is would come last.
    longest = max(
        settings.max_body_bytes,
        getattr(create_app(settings).state.chat.dictation, "max_body_bytes", 0),
    )
    chunks = [b"%x\r\n%s\r\n" % (100_000, b" " * 100_000)] * (longest // 100_000 + 1)
    chunked = {"Transfer-Encoding": "chunked"}
    assert await visitor.post_without_end("/chatkit", chunked, chunks) == 413


async def test_who_leaves_in_the_middle_of_a_request_is_no_error(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with suppress(TimeoutError):
        declared = {"Content-Length": "1000"}
        await visitor.post_without_end("/chatkit", declared, [b"{"], patience_seconds=0.2)
    await visitor.say("hello")

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "sent",
    [
        message(""),
        message("  \n"),
        message("hi", tool="no_such_tool"),
        message("[TOOL:no_such_tool] hi"),
        message("hi", model="no-such-model"),
    ],
    ids=["empty", "blank", "unknown tool", "unknown prefix", "unknown model"],
)
async def test_a_message_that_cannot_be_answered(visitor: Visitor, sent: dict[str, Any]) -> None:
    assert_refused(await visitor.send("threads.create", input=sent), 422, "invalid_request")
    assert (await visitor.send("threads.list")).json()["data"] == []


@pytest.mark.parametrize(
    ("type_", "params"),
    [
        ("input.transcribe", {"audio_base64": "", "mime_type": "audio/webm"}),
    ],
)
async def test_what_this_application_does_not_do(
    visitor: Visitor, type_: str, params: dict[str, Any]
) -> None:
    assert_refused(await visitor.send(type_, **params), 422, "invalid_request")


def requests_about(thread_id: str, item_id: str) -> list[tuple[str, dict[str, Any]]]:
    about = {"thread_id": thread_id}
    return [
        ("threads.get_by_id", about),
        ("items.list", about),
        ("threads.update", about | {"title": "mine now"}),
        ("threads.delete", about),
        ("items.feedback", about | {"item_ids": [item_id], "kind": "positive"}),
        ("threads.add_user_message", about | {"input": message("hi")}),
        ("threads.retry_after_item", about | {"item_id": item_id}),
        ("threads.add_client_tool_output", about | {"result": {}}),
        ("threads.add_structured_input", about | {"item_id": item_id, "input": {}}),
    ]


async def test_another_users_thread_does_not_exist(visitor: Visitor, stranger: Visitor) -> None:
    turn = await visitor.say("hello")
    before = await visitor.items(turn.thread_id)

    for type_, params in requests_about(turn.thread_id, turn.user_message_id):
        assert_refused(await stranger.send(type_, **params), 404, "not_found")

    assert await visitor.items(turn.thread_id) == before
    assert (await stranger.send("threads.list")).json()["data"] == []


@pytest.mark.parametrize("thread_id", ["thr_missing", "", "a\x00b", "x" * 10_000])
async def test_a_thread_that_does_not_exist(visitor: Visitor, thread_id: str) -> None:
    for type_, params in requests_about(thread_id, "msg_1"):
        assert_refused(await visitor.send(type_, **params), 404, "not_found")


async def test_feedback_on_an_item_that_does_not_exist(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    for item_ids in (["msg_missing"], [turn.user_message_id, "msg_missing"]):
        response = await visitor.send(
            "items.feedback", thread_id=turn.thread_id, item_ids=item_ids, kind="negative"
        )
        assert_refused(response, 404, "not_found")


@pytest.mark.parametrize("status", [LockedStatus(reason="Under review."), ClosedStatus()])
async def test_a_thread_that_is_not_open(
    visitor: Visitor, database: Database, status: LockedStatus | ClosedStatus
) -> None:
    turn = await visitor.say("hello")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    thread = await store.load_thread(turn.thread_id, owner)
    await store.save_thread(thread.model_copy(update={"status": status}), owner)

    about: dict[str, Any] = {"thread_id": turn.thread_id}
    for type_, params in [
        ("threads.add_user_message", about | {"input": message("hi")}),
        ("threads.retry_after_item", about | {"item_id": turn.user_message_id}),
        ("threads.add_client_tool_output", about | {"result": {}}),
        ("threads.add_structured_input", about | {"item_id": "x", "input": {}}),
    ]:
        assert_refused(await visitor.send(type_, **params), 403, "thread_not_writable")


async def test_only_a_users_message_can_be_retried(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    answer = turn.done("assistant_message")[0]["id"]
    response = await visitor.send(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=answer
    )
    assert_refused(response, 422, "invalid_request")


async def test_a_result_that_no_tool_waits_for(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    response = await visitor.send(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result={}
    )
    assert_refused(response, 422, "invalid_request")


async def test_a_question_that_was_answered_already(visitor: Visitor, database: Database) -> None:
    turn = await visitor.say("hello")
    thread = ThreadMetadata.model_validate(
        (await visitor.send("threads.get_by_id", thread_id=turn.thread_id)).json()
    )
    asked = StructuredInputItem(
        id="ask_1",
        thread_id=turn.thread_id,
        created_at=thread.created_at,
        status="answered",
        inputs=[StructuredInputFreeform(id="q", question="Why?")],
    )
    await SqlStore(database).save_item(turn.thread_id, asked, RequestContext(visitor.user_id))

    response = await visitor.send(
        "threads.add_structured_input", thread_id=turn.thread_id, item_id="ask_1", input={}
    )
    assert_refused(response, 422, "invalid_request")


async def test_an_action_that_nothing_handles(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    for type_ in ("threads.custom_action", "threads.sync_custom_action"):
        response = await visitor.send(
            type_, thread_id=turn.thread_id, action={"type": "buy", "payload": {}}
        )
        assert_refused(response, 422, "invalid_request")


@pytest.mark.parametrize("title", ["", "  ", "x" * 201])
async def test_a_title_that_is_none(visitor: Visitor, title: str) -> None:
    turn = await visitor.say("hello")
    response = await visitor.send("threads.update", thread_id=turn.thread_id, title=title)
    assert_refused(response, 422, "invalid_request")


async def test_a_page_that_does_not_exist(visitor: Visitor) -> None:
    assert_refused(await visitor.client.get("/nowhere"), 404, "not_found")
    assert_refused(await visitor.client.get("/chatkit"), 405, "method_not_allowed")


async def test_a_request_id_is_taken_from_a_proxy_when_it_is_plain(visitor: Visitor) -> None:
    plain = await visitor.client.get("/healthz", headers={"X-Request-ID": "abc-1"})
    odd = await visitor.client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert plain.headers["x-request-id"] == "abc-1"
    assert len(odd.headers["x-request-id"]) == 32


async def test_a_later_message_is_checked_like_the_first(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    for sent in (message(""), message("hi", tool="nope"), message("hi", model="nope")):
        response = await visitor.send(
            "threads.add_user_message", thread_id=turn.thread_id, input=sent
        )
        assert_refused(response, 422, "invalid_request")


@pytest.mark.parametrize("count", [0, 101])
async def test_feedback_on_nothing_or_on_too_much(visitor: Visitor, count: int) -> None:
    turn = await visitor.say("hello")
    response = await visitor.send(
        "items.feedback",
        thread_id=turn.thread_id,
        item_ids=[f"msg_{n}" for n in range(count)],
        kind="positive",
    )
    assert_refused(response, 422, "invalid_request")


async def test_what_was_sent_is_not_sent_back(visitor: Visitor) -> None:
    body = {"type": "threads.get_by_id", "params": {"thread_id": {"my": "secret"}}}
    response = await visitor.client.post("/chatkit", json=body)
    assert "secret" not in response.text


async def test_the_sdk_does_not_parse_a_request_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("building an adapter takes as long as answering")

    monkeypatch.setattr(chatkit.server, "TypeAdapter", refuse)

    assert (await visitor.send("threads.list")).status_code == 200


@pytest.mark.parametrize(
    ("header", "locale"),
    [("de-DE,de;q=0.9,en;q=0.8", "de-DE"), ("fr", "fr"), ("", "en"), ("<script>", "en")],
)
async def test_the_widgets_locale_reaches_the_context(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, header: str, locale: str
) -> None:
    seen: list[RequestContext] = []

    async def admit(_: Admission, _request: object, context: RequestContext) -> RequestContext:
        seen.append(context)
        return context

    monkeypatch.setattr(Admission, "admit", admit)
    body = {"type": "threads.list", "params": {}}
    await visitor.client.post("/chatkit", json=body, headers={"Accept-Language": header})

    assert [context.locale for context in seen] == [locale]


def test_every_kind_of_request_has_its_check() -> None:
    assert set(ADMISSIONS) == set(get_args(get_args(ChatKitReq)[0]))
