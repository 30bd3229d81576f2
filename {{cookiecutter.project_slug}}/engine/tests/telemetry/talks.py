"""Turns and requests of every kind. All texts, links, codes and keys in them carry a word of `SECRETS`."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import httpx2

from engine.tests.application import kind_of_files
from engine.tests.model_server import (
    CANARY,
    ERROR,
    ERROR_OBJECT,
    FAILED,
    INCOMPLETE,
    Behaviour,
    ModelServer,
    answer,
    called,
    cut,
    end_early,
    failed,
    refuse,
    refuse_saying,
    respond,
    said,
    thought,
)
from engine.tests.talk import Turn, Visitor, is_text, message, streamed, until

SAID, ANSWERED, CALLED, TITLE = "mulberry7731", "quince8842", "medlar9953", "sorbus1175"
LINK_BEGINS, CODE = "rowan1064", "juniper2286"
# As long as a signed link, which the access log leaves out.
LINK = LINK_BEGINS + 60 * "x"
KEY = CANARY
SECRETS = (SAID, ANSWERED, CALLED, TITLE, LINK_BEGINS, CODE, KEY)

FINE = f"Yes, {ANSWERED}."


@dataclass
class Talk:
    visitor: Visitor
    model: ModelServer

    async def say(self, *behaviours: Behaviour, thread_id: str | None = None) -> Turn:
        self.model.does(*behaviours)
        turn = await self.visitor.say(f"What is {SAID}?", thread_id)
        self.model.forget()
        return turn


async def say_and_rate(talk: Talk) -> None:
    turn = await talk.say(answer(FINE))
    [item] = turn.done("assistant_message")
    for kind in ("positive", "negative"):
        await talk.visitor.send(
            "items.feedback", thread_id=turn.thread_id, item_ids=[item["id"]], kind=kind
        )
    await talk.visitor.send("threads.update", thread_id=turn.thread_id, title=f"On {TITLE}")
    await talk.say(answer(FINE), thread_id=turn.thread_id)
    await talk.visitor.send("threads.list", after=CODE)
    await talk.visitor.send("threads.delete", thread_id=turn.thread_id)


async def retry(talk: Talk) -> None:
    turn = await talk.say(refuse_saying(400, f"cannot take {SAID}"))
    talk.model.does(answer(FINE))
    await talk.visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )


async def call_tools(talk: Talk) -> None:
    text = json.dumps({"text": f"say {CALLED}"})
    for name in ("shout", "stumble", "disconnect", f"no_{CALLED}", f"{CALLED}.shout"):
        await talk.say(respond(called(name, text)), answer(FINE))
    for arguments in (f"no JSON {CALLED}", json.dumps([CALLED]), json.dumps({CALLED: CALLED})):
        await talk.say(respond(called("shout", arguments)), answer(FINE))


async def think(talk: Talk) -> None:
    await talk.say(respond(thought(f"Consider {ANSWERED}"), said(FINE)))
    await talk.say(respond(said(f"I decline {ANSWERED}", kind="refusal")))


async def be_refused_by_the_model(talk: Talk) -> None:
    for status, code in (
        *((400, "invalid_prompt"), (400, None), (401, "invalid_api_key"), (403, None)),
        *((404, "model_not_found"), (413, None), (429, "rate_limit_exceeded"), (500, None)),
    ):
        # The server of the tests itself puts the key into each of its messages.
        await talk.say(*[refuse(status, code, retry_after_ms="1")] * 3)
    for text in (f"Invalid value: {SAID}", f'{{"input": "{SAID} {KEY}"}}'):
        await talk.say(refuse_saying(400, text, "invalid_value"))
        await talk.say(refuse_saying(422, text))


async def be_failed_by_the_model(talk: Talk) -> None:
    endings = (cut, end_early, FAILED, INCOMPLETE, ERROR, ERROR_OBJECT)
    for ending in endings:
        await talk.say(answer(FINE, then=ending))
    await talk.say(respond(end=failed("server_error")))
    await talk.say(answer(""))


async def stop_and_leave(talk: Talk) -> None:
    for command in ("stop", "leave"):
        talk.model.does(answer(f"{ANSWERED} " * 40, pause=0.02))
        body = {"type": "threads.create", "params": {"input": message(f"Tell {SAID}")}}
        async with talk.visitor.client.stream("POST", "/chatkit", json=body) as response:
            run_id = str(response.headers["x-run-id"])
            async for event in streamed(response):
                if event["type"] == "thread.created":
                    thread_id = event["thread"]["id"]
                if is_text(event):
                    break
            await talk.visitor.client.post(f"/chatkit/runs/{run_id}/{command}")

        await until(partial(has_no_run, talk, thread_id))


async def send_what_is_refused(talk: Talk) -> None:
    client = talk.visitor.client
    for path in (
        *(f"/{LINK}", f"/static/{LINK}.js", f"/files/{LINK}", f"/chatkit/runs/{LINK}/stop"),
        *(f"/sign-in?code={CODE}&state={CODE}", f"/chatkit/threads/{LINK}/run?token={CODE}"),
        f"/readyz?key={KEY}",
    ):
        await client.get(path, headers={"Referer": f"https://site.test/{LINK}?code={CODE}"})
        await client.post(path, json={"said": SAID})
    for body in (f"no JSON {SAID}".encode(), json.dumps({"type": SAID}).encode()):
        await client.post("/chatkit", content=body)
    await talk.visitor.send("threads.get_by_id", thread_id=LINK)
    await talk.visitor.send("threads.create", input=message(f"{SAID} " * 5_000))
    await talk.visitor.send("threads.create", input=message(SAID, model=CODE, tool=CODE))
    await client.post("/chatkit", json={}, headers={"Authorization": f"Bearer {KEY}"})
    reports = {"reports": [{"kind": "error", "name": f"is {SAID}"}], "session_id": f"{SAID} {CODE}"}
    await client.post("/telemetry", json=reports)


async def quote(talk: Talk) -> None:
    turn = await talk.say(answer(FINE))
    quoting: dict[str, Any] = message(f"And {SAID}?") | {"quoted_text": ANSWERED}
    talk.model.does(answer(FINE))
    await talk.visitor.stream("threads.add_user_message", thread_id=turn.thread_id, input=quoting)


async def cite(talk: Talk) -> None:
    source = {
        "type": "url_citation",
        "title": TITLE,
        "url": f"https://site.test/{LINK}?code={CODE}",
    }
    cited = [{**source, "start_index": 0, "end_index": 3}]
    turn = await talk.say(respond(said(FINE, annotations=cited)))
    assert TITLE in str(turn.done("assistant_message"))


async def use_widgets(talk: Talk) -> None:
    turn = await talk.say(respond(called("pin")), answer(FINE))
    [card] = turn.done("widget")
    of_card = {"thread_id": turn.thread_id, "item_id": card["id"]}
    closing = {"Connection": "close"}  # as uvicorn does it after an error that nobody caught
    for kind in ("threads.custom_action", "threads.sync_custom_action"):
        for words in (CALLED, "no", "boom", CODE):
            action = {"type": "board.write", "payload": words}
            await talk.visitor.send(kind, closing, **of_card, action=action)
        unknown: dict[str, Any] = {"type": CODE, "payload": {CALLED: CALLED}}
        await talk.visitor.send(kind, closing, **of_card, action=unknown)
    await talk.say(answer(FINE), thread_id=turn.thread_id)


async def call_the_page(talk: Talk) -> None:
    arguments = json.dumps({"colour": CALLED})
    for result in ({"said": CALLED}, CALLED, None):
        turn = await talk.say(respond(called("pick", arguments)))
        assert turn.done("client_tool_call")
        talk.model.does(answer(FINE))
        await talk.visitor.send(
            "threads.add_client_tool_output", thread_id=turn.thread_id, result=result
        )
        talk.model.forget()
    turn = await talk.say(respond(called("pick", arguments)))
    await talk.say(answer(FINE), thread_id=turn.thread_id)  # and its result never comes


async def hand_over(talk: Talk) -> None:
    turn = await talk.say(respond(called("transfer_to_lawyer")), answer(FINE))
    assert "Lawyer" in str(turn.done("workflow"))
    await talk.say(answer(FINE), thread_id=turn.thread_id)


async def be_titled_and_summarised(talk: Talk) -> None:
    """Long enough that its beginning is summarised."""
    turn = await talk.say(answer(f"{ANSWERED} " * 100))
    for _ in range(5):
        await talk.say(answer(f"{ANSWERED} " * 100), thread_id=turn.thread_id)
    thread = await talk.visitor.send("threads.get_by_id", thread_id=turn.thread_id)
    assert thread.json()["title"] == f"On {TITLE}"
    asked = [one.body["model"] for one in talk.model.exchanges]
    assert "summaries-model" in asked


async def attach_a_file(talk: Talk) -> None:
    if (kind := kind_of_files()) is None:
        return
    files = import_module(f"engine.tests.attachments.{kind}.kind")
    for content, name, mime_type in (
        (f"It is {SAID}.".encode(), f"{TITLE}.txt", "text/plain"),
        (SAID.encode(), f"{TITLE}.exe", f"application/{CODE}"),
        (b"%PDF-1.7 " + SAID.encode(), f"{TITLE}.pdf", "application/pdf"),
    ):
        uploaded = await files.upload(talk.visitor, content, name, mime_type)
        if uploaded.status_code != 200:
            continue
        sent = message(f"Read {SAID}") | {"attachments": [uploaded.json()["id"]]}
        talk.model.does(answer(FINE))
        await talk.visitor.send("threads.create", input=sent)
        talk.model.forget()


async def repeat_and_disconnect(talk: Talk) -> None:
    """A request twice, and one whose client goes away, without a word, in the middle."""
    for _ in range(2):
        talk.model.does(answer(FINE))
        await talk.visitor.send(
            "threads.create", {"Idempotency-Key": CODE}, input=message(f"Once, {SAID}")
        )
        talk.model.forget()
    talk.model.does(answer(f"{ANSWERED} " * 40, pause=0.02))
    async with aclosing(talk.visitor.listen("threads.create", input=message(SAID))) as events:
        async for event in events:
            if event["type"] == "thread.created":
                thread_id = event["thread"]["id"]
            if is_text(event):
                break
    await until(partial(has_no_run, talk, thread_id))


async def has_no_run(talk: Talk, thread_id: str) -> bool:
    running = await talk.visitor.client.get(f"/chatkit/threads/{thread_id}/run")
    return bool(running.json() == {"run": None})


@asynccontextmanager
async def answering(talk: Talk) -> AsyncIterator[None]:
    """An answer that goes on, and whose client waits, until after the block."""
    talk.model.does(answer(f"{ANSWERED} " * 10_000, pause=0.02))
    at = talk.visitor.client
    body = {"type": "threads.create", "params": {"input": message(f"Tell {SAID}")}}
    async with (
        httpx2.AsyncClient(base_url=at.base_url, headers=at.headers, timeout=60) as client,
        client.stream("POST", "/chatkit", json=body) as response,
    ):
        async for event in streamed(response):
            if is_text(event):
                break
        yield


async def say_with_a_page(talk: Talk) -> None:
    talk.model.does(answer(FINE))
    body: dict[str, Any] = {
        "type": "threads.create",
        "params": {"input": message(f"Tell {SAID}")},
        "metadata": {"page": {"title": SAID, "url": f"https://site.test/{LINK}?code={CODE}"}},
    }
    headers = {"User-Agent": f"Browser {CODE}", "tracestate": "a=b", "baggage": f"said={SAID}"}
    await talk.visitor.client.post("/chatkit", json=body, headers=headers)


TALKS: tuple[Callable[[Talk], Awaitable[None]], ...] = (
    say_and_rate,
    retry,
    call_tools,
    think,
    be_refused_by_the_model,
    be_failed_by_the_model,
    stop_and_leave,
    send_what_is_refused,
    say_with_a_page,
    quote,
    cite,
    use_widgets,
    call_the_page,
    hand_over,
    be_titled_and_summarised,
    attach_a_file,
    repeat_and_disconnect,
)
