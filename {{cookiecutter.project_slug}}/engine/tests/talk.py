"""A client of the application for tests: ChatKit's protocol over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

Event = dict[str, Any]
T = TypeVar("T")

# How long tests wait for an event that should happen at once, as the machine may be busy.
PATIENCE_SECONDS = 60

# By their English text, or its forms for one and for several.
Translations = Mapping[str | tuple[str, str], str | tuple[str, ...]]
German = Callable[[Translations], None]


async def until(ask: Callable[[], Awaitable[T]]) -> T:
    """The first result that is true. Raises TimeoutError after `PATIENCE_SECONDS`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (answer := await ask()):  # noqa: ASYNC110 (the condition has no event)
            await asyncio.sleep(0.05)
        return answer


@dataclass
class Turn:
    """The events of one streamed answer, in order of arrival."""

    events: list[Event]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def thread_id(self) -> str:
        return next(str(e["thread"]["id"]) for e in self.events if e["type"] == "thread.created")

    def done(self, item_type: str) -> list[dict[str, Any]]:
        """The finished items of one type."""
        return [
            event["item"]
            for event in self.events
            if event["type"] == "thread.item.done" and event["item"]["type"] == item_type
        ]

    @property
    def answer(self) -> str:
        return "".join(p["text"] for i in self.done("assistant_message") for p in i["content"])

    @property
    def user_message_id(self) -> str:
        return str(self.done("user_message")[0]["id"])

    @property
    def error(self) -> Event | None:
        return next((event for event in self.events if event["type"] == "error"), None)

    @property
    def story(self) -> list[str]:
        """One line per event, without consecutive repeats."""
        lines: list[str] = []
        for line in map(_line, self.events):
            if not lines or lines[-1] != line:
                lines.append(line)
        return lines


@dataclass
class Visitor:
    """A signed-in user with a browser."""

    client: httpx2.AsyncClient
    user_id: str

    async def send(
        self, type_: str, /, headers: dict[str, str] | None = None, **params: Any
    ) -> httpx2.Response:
        body = {"type": type_, "params": params}
        return await self.client.post("/chatkit", json=body, headers=headers)

    async def stream(self, type_: str, /, **params: Any) -> Turn:
        """Send a request with a streamed response. Fails if it is refused."""
        response = await self.send(type_, **params)
        assert response.status_code == 200, response.text
        return Turn(events_in(response.text))

    async def say(
        self,
        text: str,
        thread_id: str | None = None,
        *,
        tool: str | None = None,
        model: str | None = None,
    ) -> Turn:
        """Send a message, in a new thread if none is given, and read the whole answer."""
        if thread_id is None:
            return await self.stream("threads.create", input=message(text, tool, model))
        return await self.stream(
            "threads.add_user_message", thread_id=thread_id, input=message(text, tool, model)
        )

    async def items(self, thread_id: str) -> list[dict[str, Any]]:
        response = await self.send("items.list", thread_id=thread_id, order="asc", limit=100)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["data"]
        return items

    async def listen(self, type_: str, /, **params: Any) -> AsyncGenerator[Event, None]:
        """The events as they arrive; closing it disconnects."""
        body = {"type": type_, "params": params}
        async with self.client.stream("POST", "/chatkit", json=body) as response:
            async for event in streamed(response):
                yield event

    async def post_without_end(
        self,
        path: str,
        headers: dict[str, str],
        body: Iterable[bytes] = (),
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> int:
        """The status of a request whose body never ends. Raises TimeoutError without a response."""
        url = self.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        lines = dict(self.client.headers) | {"Host": url.host} | headers
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        writer.writelines(body)
        try:
            _http, status, *_ = (
                await asyncio.wait_for(reader.readline(), patience_seconds)
            ).split()
        finally:
            writer.close()
        return int(status)


def message(text: str, tool: str | None = None, model: str | None = None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if tool is not None:
        options["tool_choice"] = {"id": tool}
    if model is not None:
        options["model"] = model
    return {
        "content": [{"type": "input_text", "text": text}],
        "attachments": [],
        "inference_options": options,
    }


async def streamed(response: httpx2.Response) -> AsyncGenerator[Event, None]:
    """The events of a response, as they arrive."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def is_text(event: Event) -> bool:
    """True for a text delta."""
    return event["type"] == "thread.item.updated" and "delta" in event["update"]


def events_in(body: str) -> list[Event]:
    return [
        json.loads(line.removeprefix("data: "))
        for line in body.split("\n")  # splitlines() would split at more characters than SSE
        if line.startswith("data: ")
    ]


def _line(event: Event) -> str:
    match event["type"]:
        case "thread.item.added" | "thread.item.done":
            return f"{event['item']['type']} {event['type'].rsplit('.')[-1]}"
        case "thread.item.updated":
            update = event["update"]
            if "task" in update:
                task = update["task"]
                return f"{update['type']}: {task['title']} ({task['status_indicator']})"
            return str(update["type"])
    return str(event["type"])
