"""Answers as Anthropic's Messages API and Gemini's streamGenerateContent send them, over real HTTP.

A test says for each request what comes: `server.does(claude(text_block("Hello.")))` or
`server.does(gemini(text_part("Hello.")))`.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from engine.tests.model_server import CANARY, Behaviour, Event, Exchange

USAGE = {"input_tokens": 70, "output_tokens": 1}
PING_SECONDS = 0.5

# https://platform.claude.com/docs/en/api/errors
ANTHROPIC_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def claude(
    *blocks: Event,
    stop: str = "end_turn",
    explanation: str | None = None,
    pings: int = 0,
    then: Behaviour | None = None,
) -> Behaviour:
    """These content blocks and this `stop_reason`; `then` is how it goes wrong before its end.

    So many pings, `PING_SECONDS` apart, come before each block.
    """

    async def behave(exchange: Exchange) -> None:
        if (wrong := invalid(exchange.body)) is not None:
            await refuse_claude("invalid_request_error", wrong)(exchange)
            return
        await exchange.begin()
        await exchange.stream(_message_start())
        for index, block in enumerate(blocks):
            for _ in range(pings):
                await asyncio.sleep(PING_SECONDS)
                await exchange.stream([{"type": "ping"}])
            await exchange.stream(_block(index, block, is_open=then is not None))
        if then is not None:
            await then(exchange)
            return
        await exchange.stream(_message_end(stop, explanation))
        await exchange.chunk("")

    return behave


def refuse_claude(kind: str, message: str = CANARY) -> Behaviour:
    """An error as a status."""

    async def behave(exchange: Exchange) -> None:
        body = json.dumps({"type": "error", "error": {"type": kind, "message": message}})
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        await exchange.head(ANTHROPIC_STATUS[kind], length)
        await exchange.write(body)

    return behave


def invalid(body: Event) -> str | None:
    """The error that Anthropic would return for the messages of a request."""
    waiting: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [text_block(blocks)]
        if not blocks or any(b["type"] == "text" and not b["text"].strip() for b in blocks):
            return "messages: text content blocks must contain non-whitespace text"
        answered = {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"}
        if answered != waiting:
            return f"tool_use and tool_result do not match: {waiting}, {answered}"
        waiting = {b["id"] for b in blocks if b["type"] == "tool_use"}
    return f"tool_use without tool_result: {waiting}" if waiting else None


def text_block(text: str) -> Event:
    return {"type": "text", "text": text}


def thinking_block(thinking: str, signature: str = "c2lnbmF0dXJl") -> Event:
    """Many models keep what they think to themselves: then it is empty, and signed."""
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def redacted_block() -> Event:
    return {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix+/w=="}


def tool_block(name: str, arguments: str = "{}", call_id: str = "toolu_1") -> Event:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def claude_error(kind: str, message: str = CANARY) -> Behaviour:
    """An error inside the stream."""

    async def behave(exchange: Exchange) -> None:
        error = {"type": kind, "message": message}
        await exchange.stream([{"type": "error", "error": error}])
        await exchange.chunk("")

    return behave


def _message_start() -> Iterator[Event]:
    message: Event = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}


def _message_end(stop: str, explanation: str | None) -> Iterator[Event]:
    delta: Event = {"stop_reason": stop, "stop_sequence": None}
    if stop == "refusal":
        delta["stop_details"] = {"type": stop, "category": None, "explanation": explanation}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 30}}
    yield {"type": "message_stop"}


def _block(index: int, block: Event, *, is_open: bool) -> Iterator[Event]:
    match block["type"]:
        case "text":
            start: Event = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": block["text"]}] if block["text"] else []
        case "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "signature_delta", "signature": block["signature"]}]
            if block["thinking"]:
                deltas.insert(0, {"type": "thinking_delta", "thinking": block["thinking"]})
        case "tool_use":
            start = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": block["input"]}]
        case _:
            start, deltas = block, []
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    if not is_open:
        yield {"type": "content_block_stop", "index": index}


def gemini(*parts: Event, finish: str | None = "STOP", then: Behaviour | None = None) -> Behaviour:
    """One chunk for each part, and a last one with this `finishReason`."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for part in parts:
            await _send(exchange, {"candidates": [_candidate([part])]})
        if then is not None:
            await then(exchange)
            return
        last = {**_candidate([]), **({"finishReason": finish} if finish else {})}
        if not last["content"]["parts"]:
            del last["content"]
        usage = {"promptTokenCount": 70, "candidatesTokenCount": 30, "totalTokenCount": 100}
        await _send(exchange, {"candidates": [last], "usageMetadata": usage})
        await exchange.chunk("")

    return behave


def text_part(text: str) -> Event:
    return {"text": text}


def thought_part(text: str) -> Event:
    return {"text": text, "thought": True}


def call_part(name: str, signature: str | None = None, **arguments: Any) -> Event:
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"name": name, "args": arguments}, **signed}


def gemini_blocks(reason: str) -> Behaviour:
    """The prompt itself is refused: no candidate at all."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        usage = {"promptTokenCount": 70, "totalTokenCount": 70}
        blocked = {"promptFeedback": {"blockReason": reason}, "usageMetadata": usage}
        await _send(exchange, blocked)
        await exchange.chunk("")

    return behave


def gemini_error(code: int, status: str) -> Behaviour:
    """An error inside the stream."""

    async def behave(exchange: Exchange) -> None:
        await _send(exchange, {"error": {"code": code, "message": CANARY, "status": status}})
        await exchange.chunk("")

    return behave


def refuse_gemini(code: int, status: str) -> Behaviour:
    """An error as a status."""

    async def behave(exchange: Exchange) -> None:
        body = json.dumps({"error": {"code": code, "message": CANARY, "status": status}})
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        await exchange.head(code, length)
        await exchange.write(body)

    return behave


async def _send(exchange: Exchange, chunk: Event) -> None:
    common = {"modelVersion": "gemini-test", "responseId": "r1"}
    await exchange.chunk(f"data: {json.dumps({**chunk, **common})}\r\n\r\n")


def _candidate(parts: list[Event]) -> Event:
    return {"content": {"parts": parts, "role": "model"}, "index": 0}
