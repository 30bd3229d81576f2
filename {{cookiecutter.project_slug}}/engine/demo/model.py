"""A demo model that needs no API key, for a first try, the tests and the smoke test.

It streams, calls the project's tools and gives the same answer to the same message. Words in the
message cause failures:

- `[demo:slow]` takes ten times as long between words,
- `[demo:fail]` fails before the first event,
- `[demo:break]` fails in the middle of the answer.
"""

import asyncio
import json
import re
import string
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, cast
from uuid import uuid4

from agents import Model, ModelResponse, ModelSettings, Tool, TResponseInputItem
from agents.items import TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from engine.models.titles import INSTRUCTIONS as TITLE_INSTRUCTIONS
from engine.models.wrapped import whole_response
from engine.settings.settings import MODEL_KEY
from engine.text.locales import languages, translate
from engine.text.tokens import BYTES_PER_TOKEN, tokens_of
from engine.tools.tool import AgentTool, DemoCall

SLOWNESS = 10


class DemoFailure(Exception):
    """The failure that `[demo:fail]` or `[demo:break]` in the message requested."""


class DemoModel(Model):
    """`tools` are those of the application, which the demo model calls."""

    def __init__(self, delay_seconds: float, tools: Iterable[AgentTool] = ()) -> None:
        self._delay = delay_seconds
        self._tools = tuple(tools)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        *_args: Any,
        **_options: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        text = _last_user_text(input)
        if "[demo:fail]" in text:
            raise DemoFailure("requested in the message")
        delay = self._delay * (SLOWNESS if "[demo:slow]" in text else 1)
        await asyncio.sleep(delay)

        results = _tool_results(input)
        names = {tool.name for tool in tools}
        offered = [tool for tool in self._tools if any(map(tool.owns, names))]
        call = None if results else _call(text, offered, model_settings)
        output: ResponseOutputItem
        if call is not None:
            output = _function_call(call)
            yield _added(output)
        else:
            message = _message("")
            yield _added(message)
            yield _part_added(message)
            if system_instructions == TITLE_INSTRUCTIONS:
                reply = string.capwords(text)
            else:
                reply = _reply(text, results, offered, model_settings)
            for index, word in enumerate(_words(reply)):
                if index == 3 and "[demo:break]" in text:
                    raise DemoFailure("requested in the message")
                yield _delta(message, word)
                await asyncio.sleep(delay)
            output = _message(reply, message.id)
            yield _text_done(output)
            yield _part_done(output)
        yield _done(output)
        yield _completed(output, _usage([system_instructions, input], output))

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await whole_response(self.stream_response(*args, **kwargs))


def _last_user_text(input: str | list[TResponseInputItem]) -> str:
    if isinstance(input, str):
        return input
    for item in reversed(input):
        if item.get("role") == "user":
            return _text(cast("Mapping[str, Any]", item)["content"])
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    # The user's text comes first, attachments follow.
    return str(content[0].get("text", "")) if content else ""


def _tool_results(input: str | list[TResponseInputItem]) -> list[str]:
    """The outputs of tools since the last message of the user."""
    results: list[str] = []
    for item in reversed(input) if isinstance(input, list) else ():
        if item.get("role") == "user":
            break
        if item.get("type") == "function_call_output":
            results.insert(0, str(cast("Mapping[str, Any]", item)["output"]))
    return results


def _call(text: str, offered: list[AgentTool], settings: ModelSettings) -> DemoCall | None:
    for tool in offered:
        if call := tool.demonstrate(text) or tool.demonstrate(_in_english(text, tool)):
            return call
    if settings.tool_choice == "required":
        return next((tool.demo_default for tool in offered if tool.demo_default), None)
    return None


def _in_english(text: str, tool: AgentTool) -> str:
    """The English prompt of the tool if the text is a translation of it, else the text."""
    prompts = {translate(tool.prompt, language) for language in languages()}
    return tool.prompt if text.strip() in prompts else text


def _reply(text: str, results: list[str], offered: list[AgentTool], settings: ModelSettings) -> str:
    if results:
        return "\n\n".join(results)
    if settings.tool_choice == "required":
        replies = [tool.demo_reply for tool in offered if tool.demo_reply]
        if replies:
            return replies[0]
    menu = "".join(f"\n- **{tool.label}**: try “{tool.prompt}”" for tool in offered)
    hint = f"\n\nTools that you can try:{menu}" if menu else ""
    return (
        f"You said: “{text.strip()}”\n\nThis is the demo model: it streams and uses the tools, "
        f"but it does not think. Set `{MODEL_KEY}` to talk to a real one.{hint}"
    )


def _words(text: str) -> Iterator[str]:
    yield from re.findall(r"\s*\S+|\s+$", text)


def _message(text: str, message_id: str | None = None) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id=message_id or f"msg_{uuid4().hex}",
        content=[ResponseOutputText(text=text, annotations=[], type="output_text")] if text else [],
        role="assistant",
        status="completed" if text else "in_progress",
        type="message",
    )


def _function_call(call: DemoCall) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        id=f"fc_{uuid4().hex}",
        call_id=f"call_{uuid4().hex}",
        name=call.function,
        arguments=json.dumps(call.arguments),
        type="function_call",
        status="completed",
    )


def _added(item: ResponseOutputItem) -> TResponseStreamEvent:
    return ResponseOutputItemAddedEvent(
        item=item, output_index=0, sequence_number=0, type="response.output_item.added"
    )


def _done(item: ResponseOutputItem) -> TResponseStreamEvent:
    return ResponseOutputItemDoneEvent(
        item=item, output_index=0, sequence_number=0, type="response.output_item.done"
    )


def _part_added(message: ResponseOutputMessage) -> TResponseStreamEvent:
    return ResponseContentPartAddedEvent(
        item_id=message.id,
        part=ResponseOutputText(text="", annotations=[], type="output_text"),
        content_index=0,
        output_index=0,
        sequence_number=0,
        type="response.content_part.added",
    )


def _part_done(message: ResponseOutputMessage) -> TResponseStreamEvent:
    return ResponseContentPartDoneEvent(
        item_id=message.id,
        part=_only_text(message),
        content_index=0,
        output_index=0,
        sequence_number=0,
        type="response.content_part.done",
    )


def _delta(message: ResponseOutputMessage, delta: str) -> TResponseStreamEvent:
    return ResponseTextDeltaEvent(
        item_id=message.id,
        delta=delta,
        logprobs=[],
        content_index=0,
        output_index=0,
        sequence_number=0,
        type="response.output_text.delta",
    )


def _text_done(message: ResponseOutputMessage) -> TResponseStreamEvent:
    return ResponseTextDoneEvent(
        item_id=message.id,
        text=_only_text(message).text,
        logprobs=[],
        content_index=0,
        output_index=0,
        sequence_number=0,
        type="response.output_text.done",
    )


def _only_text(message: ResponseOutputMessage) -> ResponseOutputText:
    [part] = message.content
    assert isinstance(part, ResponseOutputText)
    return part


def _completed(output: ResponseOutputItem, usage: ResponseUsage) -> TResponseStreamEvent:
    response = Response(
        id=f"resp_{uuid4().hex}",
        created_at=0,
        model="demo",
        object="response",
        output=[output],
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=False,
        status="completed",
        usage=usage,
    )
    return ResponseCompletedEvent(response=response, sequence_number=0, type="response.completed")


def _usage(input: object, output: ResponseOutputItem) -> ResponseUsage:
    tokens_in = tokens_of(input)
    tokens_out = _tokens(
        output.name + output.arguments
        if isinstance(output, ResponseFunctionToolCall)
        else _only_text(cast("ResponseOutputMessage", output)).text
    )
    return ResponseUsage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        total_tokens=tokens_in + tokens_out,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
    )


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
