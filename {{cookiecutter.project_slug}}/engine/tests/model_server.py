"""A model server that misbehaves, over real HTTP: OpenAI's two APIs, and what can go wrong there.

A test says in advance what each request meets: `server.does(refuse(429), answer("Hello."))`.
Words of the server's own, which no user may ever read, carry `CANARY`.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CANARY = "sk-canary-0123456789"
FOREVER = 3_600.0

Event = dict[str, Any]


@dataclass
class Exchange:
    """One request, and the connection on which it is answered."""

    path: str
    headers: dict[str, str]
    body: Event
    writer: asyncio.StreamWriter
    at: float = field(default_factory=time.monotonic)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # the client hung up

    @property
    def is_chat(self) -> bool:
        """Chat completions, and not responses."""
        return self.path.partition("?")[0].endswith("/chat/completions")

    @property
    def results(self) -> list[str]:
        """The results of tools that the model gets."""
        kind = "function_call_output"
        if "messages" in self.body:
            return [m["content"] for m in self.body["messages"] if m["role"] == "tool"]
        return [item["output"] for item in self.body["input"] if item.get("type") == kind]

    @property
    def commands(self) -> list[str]:
        """The instructions, which weigh more than the user's words."""
        told = self.body.get("messages") or self.body["input"]
        roles = ("system", "developer")
        commands = [str(item["content"]) for item in told if item.get("role") in roles]
        return [*filter(None, [self.body.get("instructions")]), *commands]

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} -", *(f"{k}: {v}" for k, v in headers.items())]
        await self.write("\r\n".join([*lines, "Connection: close", "", ""]))

    async def begin(self) -> None:
        await self.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    async def stream(self, events: Iterable[Event]) -> None:
        for event in events:
            await self.chunk(f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n")

    async def chunk(self, text: str) -> None:
        """A piece of the stream; an empty one is its proper end."""
        await self.write(f"{len(text.encode()):x}\r\n{text}\r\n")

    async def write(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()


Behaviour = Callable[[Exchange], Awaitable[None]]


class ModelServer:
    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        # Every request for a model in here gets its behaviour; planned ones are for other models.
        self.of_models: dict[str, Behaviour] = {}
        self._planned: deque[Behaviour] = deque()
        self._serving: set[asyncio.Task[None]] = set()

    def does(self, *behaviours: Behaviour) -> None:
        """The faults of the next requests, one each; later requests are answered."""
        self._planned.extend(behaviours)

    def forget(self) -> None:
        """Drop what a test that failed has left over."""
        self._planned.clear()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        exchange = Exchange(head[0].split()[1], headers, json.loads(body), writer)
        self.exchanges.append(exchange)
        answering = asyncio.create_task(self._answer(self._behaviour(exchange), exchange))
        self._serving.add(answering)
        answering.add_done_callback(self._serving.discard)
        try:
            await reader.read()  # ends when the client hangs up
            if not answering.done():
                exchange.left.set()
        except ConnectionError:
            exchange.left.set()
        answering.cancel()

    def _behaviour(self, exchange: Exchange) -> Behaviour:
        if always := self.of_models.get(exchange.body.get("model", "")):
            return always
        return self._planned.popleft() if self._planned else answer("All is well.")

    async def _answer(self, behaviour: Behaviour, exchange: Exchange) -> None:
        try:
            await behaviour(exchange)
        except ConnectionError:
            exchange.left.set()
        finally:
            exchange.writer.close()


@asynccontextmanager
async def model_server() -> AsyncIterator[tuple[ModelServer, str]]:
    """A server on a free port of this machine, and its base URL."""
    model = ModelServer()
    server = await asyncio.start_server(model.handle, "127.0.0.1", 0)
    yield model, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    server.close()
    for task in model._serving.copy():
        task.cancel()
    await asyncio.gather(*model._serving, return_exceptions=True)


def refuse(status: int, code: str | None = None, /, **headers: str) -> Behaviour:
    """An error with a body as OpenAI's."""

    async def behave(exchange: Exchange) -> None:
        body = json.dumps({"error": {"message": f"Secret: {CANARY}", "code": code, "type": "x"}})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        await exchange.head(status, named | length)
        await exchange.write(body)

    return behave


async def silence(exchange: Exchange) -> None:
    """Takes the request and never answers."""
    await asyncio.sleep(FOREVER)


def of_model(**behaviours: Behaviour) -> Behaviour:
    """The requests of several models at once, by the names of the models."""

    async def behave(exchange: Exchange) -> None:
        await behaviours[exchange.body["model"]](exchange)

    return behave


def answer(
    text: str,
    *,
    then: Behaviour | None = None,
    pause: float = 0,
    after: asyncio.Event | None = None,
    comments: int = 0,
) -> Behaviour:
    """Stream the text, word by word; `then` is how it goes wrong before its end.

    With `after`, the first word is all there is until that has happened. So many `comments`, half
    a second apart, come before the beginning and before each word.
    """

    async def comment(exchange: Exchange) -> None:
        for _ in range(comments):
            await asyncio.sleep(0.5)
            await exchange.chunk(": in a moment\n\n")

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        script = _chat(text, exchange) if exchange.is_chat else _response(text)
        beginning, words, end = script
        await comment(exchange)
        await exchange.stream(beginning)
        for word in words:
            await comment(exchange)
            await exchange.stream([word])
            await asyncio.sleep(pause)
            if after is not None:
                await after.wait()
        if then is None:
            await exchange.stream(end)
            await exchange.chunk("")
        else:
            await then(exchange)

    return behave


async def cut(exchange: Exchange) -> None:
    """The connection breaks."""
    exchange.writer.transport.abort()


async def end_early(exchange: Exchange) -> None:
    """The stream ends in good order, before the answer is complete."""
    await exchange.chunk("")


async def garbage(exchange: Exchange) -> None:
    await exchange.chunk(f"data: no JSON {CANARY}\n\n")
    await asyncio.sleep(FOREVER)


def says(event: Event) -> Behaviour:
    """One more event, and then nothing."""

    async def behave(exchange: Exchange) -> None:
        await exchange.stream([event])
        await exchange.chunk("")

    return behave


FAILED = says(
    {
        "type": "response.failed",
        "sequence_number": 0,
        "response": {
            "id": "r",
            "object": "response",
            "created_at": 0,
            "model": "m",
            "status": "failed",
            "error": {"code": "server_error", "message": CANARY},
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        },
    }
)
INCOMPLETE = says(
    {
        "type": "response.incomplete",
        "sequence_number": 0,
        "response": {"status": "incomplete", "incomplete_details": {"reason": CANARY}},
    }
)
ERROR = says({"type": "error", "sequence_number": 0, "code": "x", "message": CANARY})
ERROR_OBJECT = says({"error": {"message": CANARY, "code": "x"}})


def call(*calls: tuple[str, str]) -> Behaviour:
    """Call these functions at once, each with these arguments: text that should be JSON."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        items = [
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{len(exchange.results)}_{number}",
                "name": name,
                "arguments": arguments,
                "status": "completed",
            }
            for number, (name, arguments) in enumerate(calls)
        ]
        await exchange.stream(_chat_calls(items) if exchange.is_chat else _items(items))
        await exchange.chunk("")

    return behave


def _items(items: list[Event]) -> Iterator[Event]:
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield _completed(items)


Script = tuple[Iterator[Event], Iterator[Event], Iterator[Event]]


def _response(text: str) -> Script:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    message: Event = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    whole = {**part, "text": text}
    done = {**message, "status": "completed", "content": [whole]}
    beginning: list[Event] = [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**message, "status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": part},
    ]
    words = (
        {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
        for word in _words(text)
    )
    end: list[Event] = [
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        _completed([done]),
    ]
    return iter(beginning), words, iter(end)


def _completed(output: list[Event]) -> Event:
    return {
        "type": "response.completed",
        "response": {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "model": "m",
            "status": "completed",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 10,
                "output_tokens": 5,
                "total_tokens": 15,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        },
    }


def _chat(text: str, exchange: Exchange) -> Script:
    beginning = iter([_chunk({"role": "assistant", "content": ""})])
    end = [_chunk({}, "stop")]
    if (exchange.body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        end.append({**_chunk({}), "choices": [], "usage": usage})
    return beginning, (_chunk({"content": w}) for w in _words(text)), iter(end)


def _chat_calls(items: list[Event]) -> Iterator[Event]:
    for index, item in enumerate(items):
        function = {"name": item["name"], "arguments": item["arguments"]}
        made = {"index": index, "id": item["call_id"], "type": "function", "function": function}
        yield _chunk({"role": "assistant", "tool_calls": [made]})
    yield _chunk({}, "tool_calls")


def _chunk(delta: Event, finish_reason: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    common = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return {**common, "choices": [choice]}


def _words(text: str) -> Iterator[str]:
    return (word for word in text.replace(" ", " \0").split("\0"))


# --- Whole responses, item by item: `respond(said("Let me look."), thought(), called("shout"))` ---


def respond(*items: Event, end: Event | None = None, told: bool = True) -> Behaviour:
    """One response of the Responses API with these items in this order.

    `end` replaces its last event. Unless they are `told`, items come in that one alone.
    """

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for index, item in enumerate(items if told else ()):
            await exchange.stream(_events_of(index, item))
        await exchange.stream([end or _completed([_whole(item) for item in items])])
        await exchange.chunk("")

    return behave


def said(*deltas: str, kind: str = "output_text", **part: Any) -> Event:
    """A message; `kind="refusal"` is one that declines."""
    return {"type": "message", "deltas": list(deltas), "kind": kind, "part": part}


def thought(*summaries: str, **more: Any) -> Event:
    summary = [{"type": "summary_text", "text": text} for text in summaries]
    return {"type": "reasoning", "id": "rs_1", "summary": summary, **more}


def called(name: str, arguments: str = "{}", call_id: str = "call_1", **more: Any) -> Event:
    call = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id}
    return {**call, "name": name, "arguments": arguments, "status": "completed", **more}


def incomplete(reason: str, *items: Event) -> Event:
    """The end of a response that its server cut."""
    response = _completed([_whole(item) for item in items])["response"]
    details = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return {"type": "response.incomplete", "sequence_number": 0, "response": response | details}


def failed(code: str) -> Event:
    """The end of a response that went wrong."""
    error = {"status": "failed", "error": {"code": code, "message": CANARY}}
    return {
        "type": "response.failed",
        "sequence_number": 0,
        "response": _completed([])["response"] | error,
    }


def _whole(item: Event) -> Event:
    if item["type"] != "message":
        return item
    text, kind = "".join(item["deltas"]), item["kind"]
    part = {"type": kind, kind.removeprefix("output_"): text, **item["part"]}
    content = [{"annotations": [], **part} if kind == "output_text" else part]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**message, "content": content}


def _events_of(index: int, item: Event) -> Iterator[Event]:
    whole = _whole(item)
    started = {**whole, "content": []} if whole["type"] == "message" else whole
    yield {"type": "response.output_item.added", "output_index": index, "item": started}
    at = {"item_id": whole.get("id"), "output_index": index}
    if whole["type"] == "message":
        yield from _events_of_message(at, item, whole["content"][0])
    for number, part in enumerate(whole.get("summary", ())):
        place = {**at, "summary_index": number}
        kind = "response.reasoning_summary_text"
        yield {"type": f"{kind}.delta", **place, "delta": part["text"]}
        yield {"type": f"{kind}.done", **place, "text": part["text"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": whole}


def _events_of_message(at: Event, item: Event, part: Event) -> Iterator[Event]:
    place, name = {**at, "content_index": 0}, item["kind"].removeprefix("output_")
    empty = {**part, name: "", "annotations": []}
    yield {"type": "response.content_part.added", **place, "part": empty}
    for delta in item["deltas"]:
        yield {"type": f"response.{item['kind']}.delta", **place, "delta": delta, "logprobs": []}
    for number, annotation in enumerate(part.get("annotations", ())):
        more = {"annotation_index": number, "annotation": annotation}
        yield {"type": "response.output_text.annotation.added", **place, **more}
    yield {"type": f"response.{item['kind']}.done", **place, name: part[name], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def complete(*deltas: Event, finish_reason: str = "stop") -> Behaviour:
    """One answer of Chat Completions with these deltas."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.stream([_chunk(delta) for delta in deltas])
        await exchange.stream([_chunk({}, finish_reason)])
        await exchange.chunk("")

    return behave


def chat_call(
    name: str, arguments: str = "{}", call_id: str | None = "call_1", index: int = 0
) -> Event:
    """The delta with which Chat Completions call a tool."""
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}


def unless(
    is_wrong: Callable[[Event], bool], refusal: Behaviour, behaviour: Behaviour
) -> Behaviour:
    """A server that is strict about its requests' bodies."""

    async def behave(exchange: Exchange) -> None:
        await (refusal if is_wrong(exchange.body) else behaviour)(exchange)

    return behave


def refuse_saying(status: int, message: str, code: str | None = None) -> Behaviour:
    """An error whose words tell what the server does not take."""

    async def behave(exchange: Exchange) -> None:
        body = json.dumps({"error": {"message": message, "code": code, "type": "invalid_request"}})
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        await exchange.head(status, length)
        await exchange.write(body)

    return behave
