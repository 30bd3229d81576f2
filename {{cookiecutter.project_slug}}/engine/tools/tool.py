"""What an agent tool is."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from agents import (
    FunctionTool,
    ModelBehaviorError,
    RunContextWrapper,
    Tool,
    ToolErrorFormatterArgs,
    ToolTimeoutError,
    function_tool,
)
from chatkit.agents import ResponseStreamConverter
from chatkit.icons import IconName
from openai.types.responses import ResponseIncludable

from engine.settings.settings import UnusableSettings
from engine.text.locales import Translations
from engine.text.unicode import storable
from engine.tools.actions import ActionHandler
from engine.tools.services import ToolRefusal, ToolService, ToolServices

logger = logging.getLogger(__name__)

TOOL_FAILED = "The tool failed: "
TIMEOUT_SECONDS = 30.0
MAX_OUTPUT_CHARS = 20_000


@dataclass(frozen=True)
class DemoCall:
    """The function call with which the demo model shows a tool off."""

    function: str
    arguments: Mapping[str, object]


def nothing_more(_services: ToolServices) -> Sequence[Tool]:
    return ()


def no_demo(_text: str) -> DemoCall | None:
    return None


@dataclass(frozen=True)
class AgentTool:
    """One entry of the composer's tool menu and the functions that the model gets for it.

    `titles` maps a function's name to what its workflow task says while it runs. `demo` turns
    the user's words into the call that the demo model makes, or None when they ask for nothing;
    `demo_default` is the call when the user picked the tool all the same, and `demo_reply` what
    the demo model says when the tool cannot work without a key.
    In the composer, `short_label` is on the button once it is chosen, one that is `pinned` stands
    beside the menu, and a `persistent` one stays chosen after its message.
    `translations` are of all its texts, by language and English text.
    `response_include` asks the Responses API for more of what a hosted tool did, and `converter`
    makes (of the `TurnContext`) what turns that into items of the conversation. `service` makes what the tool keeps open;
    its functions find it with `turn.context.services.get(kind)`.
    `actions` maps the type of a widget's action to what carries it out.
    `discover` gives functions that are known only while the application runs; their names begin
    with `prefix`.
    `reads` are types of files that its functions read, though no model does.
    `client_tools` and `effects` name what the page has to have for it: the functions that it
    answers itself (`TurnContext.ask_page`), and what it can be told to do (`ClientEffectEvent`).
    """

    id: str
    label: str
    icon: IconName
    functions: Sequence[Tool]
    placeholder: str
    prompt: str
    short_label: str | None = None
    pinned: bool = False
    persistent: bool = False
    titles: Mapping[str, str] = field(default_factory=dict)
    translations: Translations = field(default_factory=dict)
    demo: Callable[[str], DemoCall | None] = no_demo
    demo_default: DemoCall | None = None
    demo_reply: str | None = None
    responses_api_only: bool = False
    response_include: Sequence[ResponseIncludable] = ()
    client_tools: Sequence[str] = ()
    effects: Sequence[str] = ()
    actions: Mapping[str, ActionHandler] = field(default_factory=dict)
    converter: Callable[[Any], ResponseStreamConverter] | None = None
    service: Callable[[], ToolService] | None = None
    discover: Callable[[ToolServices], Sequence[Tool]] = nothing_more
    prefix: str | None = None
    reads: Sequence[str] = ()

    def owns(self, function: str) -> bool:
        """True for the name of one of its functions."""
        if self.prefix is not None and function.startswith(self.prefix):
            return True
        return any(offered.name == function for offered in self.functions)


def agent_function(function: Callable[..., Awaitable[str]]) -> FunctionTool:
    """Make a function of a tool; its docstring is what the model reads.

    One that fails or takes too long costs its result and not the turn; one that says too much is
    cut to `MAX_OUTPUT_CHARS`. `ToolRefusal` is for what it will not do. Raises `UnusableSettings`
    where there is no docstring.
    """
    if not function.__doc__:
        raise UnusableSettings(
            f"{function.__name__} has no docstring for the model to read. PYTHONOPTIMIZE=2 (-OO) "
            "removes them all: unset it."
        )

    @wraps(function)
    async def bounded(*args: Any, **kwargs: Any) -> str:
        return _cut(storable(_text(await function(*args, **kwargs))))

    return function_tool(
        bounded,
        failure_error_function=_report_failure,
        timeout=TIMEOUT_SECONDS,
        timeout_error_function=_report_failure,
    )


def remote_function(
    name: str,
    description: str,
    schema: dict[str, Any],
    call: Callable[[dict[str, Any]], Awaitable[str]],
) -> FunctionTool:
    """A function that is known only while the application runs, bounded like the others."""

    async def invoke(context: RunContextWrapper[Any], arguments: str) -> str:
        try:
            return _cut(storable(await call(_object(arguments))))
        except Exception as error:
            return _report_failure(context, error)

    return FunctionTool(
        name=name,
        description=description,
        params_json_schema=schema,
        on_invoke_tool=invoke,
        strict_json_schema=False,
        timeout_seconds=TIMEOUT_SECONDS,
        timeout_error_function=_report_failure,
    )


def _object(arguments: str) -> dict[str, Any]:
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError as error:
        raise ModelBehaviorError("no JSON") from error
    if not isinstance(parsed, dict):
        raise ModelBehaviorError("no object")
    return parsed


def _text(output: object) -> str:
    """A tool written in a hurry may return anything, whatever its annotation says."""
    if isinstance(output, str):
        return output
    return json.dumps(output, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    if len(text) <= MAX_OUTPUT_CHARS:
        return text
    notice = f"\n[cut: this is the beginning of {len(text)} characters]"
    return text[: MAX_OUTPUT_CHARS - len(notice)] + notice


def _report_failure(_context: RunContextWrapper[Any], error: Exception) -> str:
    """One line for the model; the rest is for the log."""
    if isinstance(error, ToolRefusal):
        return f"{TOOL_FAILED}{error}"
    logger.warning("a tool failed", exc_info=error)
    match error:
        case ModelBehaviorError():
            return f"{TOOL_FAILED}these are not its arguments. Call it again with the right ones."
        case ToolTimeoutError():
            reason = "it took too long"
        case _:
            reason = type(error).__name__
    return f"{TOOL_FAILED}{reason}. Go on without its result and say so."


def tell_missing_tool(error: ToolErrorFormatterArgs[Any]) -> str | None:
    """The line for a model that calls a tool which it was not given."""
    if error.kind != "tool_not_found":
        return None
    return f"{TOOL_FAILED}there is no such tool. Go on without it."
