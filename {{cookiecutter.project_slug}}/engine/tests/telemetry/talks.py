"""Turns and requests of every kind. All texts, links, codes and keys in them carry a word of `SECRETS`."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

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

        async def is_over(thread_id: str = thread_id) -> bool:
            running = await talk.visitor.client.get(f"/chatkit/threads/{thread_id}/run")
            return bool(running.json() == {"run": None})

        await until(is_over)


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
)
