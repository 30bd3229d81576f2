"""`AgentTool`, a tool of the agent, and the functions that it is made of."""

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
from engine.telemetry.measures import tool_failures
from engine.text.unicode import storable
from engine.tools.actions import ActionHandler
from engine.tools.services import ToolRefusal, ToolService, ToolServices

logger = logging.getLogger(__name__)

TOOL_FAILED = "The tool failed: "
TIMEOUT_SECONDS = 30.0
MAX_OUTPUT_CHARS = 20_000


@dataclass(frozen=True)
class DemoCall:
    """The function call that the demo model makes to demonstrate a tool."""

    function: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class AgentTool:
    """One entry of the composer's tool menu, and the functions that the model can call.

    - `titles` maps a function's name to the text of its workflow task while it runs.
    - `demo` returns the demo model's call for a user's text, or None if the text does not ask for
      this tool; `demo_default` is the call if the user chose the tool nevertheless; `demo_reply` is
      the demo model's answer if the tool cannot work without a key.
    - In the composer, `short_label` is the button's text while the tool is chosen, a `pinned` tool
      has a button beside the menu, and a `persistent` tool stays chosen after a message.
    - `response_include` requests more details of a hosted tool from the Responses API;
      `converter(turn_context)` builds the converter of those details into thread items.
    - `service()` builds the resource that the tool keeps open; functions get it with
      `turn.context.services.get(kind)`.
    - `actions` maps the type of a widget's action to its handler.
    - `discover` returns functions that are known only at run time; their names begin with `prefix`.
    - `reads` lists MIME types that the functions can read although the model cannot.
    - `client_tools` and `effects` name the modules that the page needs: functions that the page
      answers (`TurnContext.ask_page`), and effects that it applies (`ClientEffectEvent`).
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
    demo: Callable[[str], DemoCall | None] | None = None
    demo_default: DemoCall | None = None
    demo_reply: str | None = None
    responses_api_only: bool = False
    response_include: Sequence[ResponseIncludable] = ()
    client_tools: Sequence[str] = ()
    effects: Sequence[str] = ()
    actions: Mapping[str, ActionHandler] = field(default_factory=dict)
    converter: Callable[[Any], ResponseStreamConverter] | None = None
    service: Callable[[], ToolService] | None = None
    discover: Callable[[ToolServices], Sequence[Tool]] | None = None
    prefix: str | None = None
    reads: Sequence[str] = ()

    def offered(self, services: ToolServices) -> list[Tool]:
        """Its functions, and those that are known only now."""
        return [*self.functions, *(self.discover(services) if self.discover else ())]

    def demonstrate(self, text: str) -> DemoCall | None:
        """The demo model's call for this text."""
        return self.demo(text) if self.demo else None

    def owns(self, function: str) -> bool:
        """True if this is the name of one of the tool's functions."""
        if self.prefix is not None and function.startswith(self.prefix):
            return True
        return any(offered.name == function for offered in self.functions)


def agent_function(function: Callable[..., Awaitable[str]]) -> FunctionTool:
    """Decorator: make a function a tool's function. Its docstring is the model's prompt.

    If it raises or takes too long, the model gets an error as its result and the turn goes on.
    Results are cut to `MAX_OUTPUT_CHARS`. It raises `ToolRefusal` to tell the model a reason.
    Raises `UnusableSettings` if there is no docstring.
    """
    if not function.__doc__:
        raise UnusableSettings(
            f"{function.__name__} has no docstring, which the model needs. Write one; if there is "
            "one, unset PYTHONOPTIMIZE=2 (or omit -OO), which removes docstrings."
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
    """A function that is known only at run time, with the same limits as `agent_function`."""

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
        raise ModelBehaviorError("the arguments are not JSON") from error
    if not isinstance(parsed, dict):
        raise ModelBehaviorError("the arguments are not a JSON object")
    return parsed


def _text(output: object) -> str:
    """The result as text: a function may return another type than its annotation says."""
    if isinstance(output, str):
        return output
    return json.dumps(output, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    if len(text) <= MAX_OUTPUT_CHARS:
        return text
    notice = f"\n[cut: this is the beginning of {len(text)} characters]"
    return text[: MAX_OUTPUT_CHARS - len(notice)] + notice


def _report_failure(context: RunContextWrapper[Any], error: Exception) -> str:
    """The error in one line for the model; the reason and the traceback go to the log."""
    if isinstance(error, ToolRefusal):
        return f"{TOOL_FAILED}{error}"
    tool = getattr(context, "tool_name", "unknown")
    logger.warning("the tool %s failed", tool, exc_info=error)
    tool_failures.add(1, {"tool": tool})
    match error:
        case ModelBehaviorError():
            return f"{TOOL_FAILED}these are not its arguments. Call it again with the right ones."
        case ToolTimeoutError():
            reason = "it took too long"
        case _:
            reason = type(error).__name__
    return f"{TOOL_FAILED}{reason}. Go on without its result and say so."


def missing_tool_message(error: ToolErrorFormatterArgs[Any]) -> str | None:
    """The error for a model that calls a tool which it was not given."""
    if error.kind != "tool_not_found":
        return None
    return f"{TOOL_FAILED}there is no such tool. Go on without it."
