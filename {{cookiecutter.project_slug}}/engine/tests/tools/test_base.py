"""A tool that fails does not fail the turn. Tests use an HTTP model server."""

import asyncio
import json
from typing import Any

import pytest

from engine.settings.settings import UnusableSettings
from engine.tests import application
from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import CANARY, ModelServer, answer, call
from engine.tests.talk import Turn, Visitor
from engine.tools.tool import (
    MAX_OUTPUT_CHARS,
    TIMEOUT_SECONDS,
    AgentTool,
    agent_function,
    remote_function,
)


class Awkward:
    def __str__(self) -> str:
        return "awkward"


OUTPUTS: dict[str, Any] = {
    "text": "fine",
    "nothing": None,
    "object": {"one": [1, "ü"]},
    "bytes": b"raw",
    "awkward": Awkward(),
    "image": {"type": "image", "image_url": "http://nowhere.test/"},
    "unstorable": "a\x00b\ud800c",
    "huge": "x" * 10_000_000,
}

made: list[str] = []


@agent_function
async def fetch(what: str) -> str:
    """Fetch something.

    Args:
        what: What to fetch.
    """
    made.append(what)
    if what == "boom":
        raise RuntimeError(f"a detail {CANARY}")
    if what == "cancelled":
        raise asyncio.CancelledError
    if what == "doze":
        await asyncio.sleep(60)
    output: str = OUTPUTS[what]
    return output


FETCH = AgentTool(
    id="fetch",
    label="Fetch",
    icon="sparkle",
    functions=(fetch,),
    placeholder="What?",
    prompt="fetch",
    titles={"fetch": "Fetching"},
)


@pytest.fixture(autouse=True)
def _fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(application, "TOOLS", (FETCH,))
    monkeypatch.setattr(fetch, "timeout_seconds", 0.2)


def asked(*whats: str) -> list[tuple[str, str]]:
    return [("fetch", json.dumps({"what": what})) for what in whats]


def fetching(turn: Turn) -> list[dict[str, Any]]:
    """The turn's tasks at its end, without "Analyzing request"."""
    [workflow] = turn.done("workflow")
    tasks: list[dict[str, Any]] = workflow["workflow"]["tasks"][1:]
    assert {task["status_indicator"] for task in tasks} == {"complete"}
    return tasks


async def turn_with(
    visitor: Visitor, model: ModelServer, *calls: tuple[str, str]
) -> tuple[Turn, list[str]]:
    """A turn in which the model makes these calls, and the results that the model got."""
    model.does(call(*calls), answer("Done."))
    turn = await visitor.say("go")
    assert turn.answer == "Done."
    assert turn.error is None
    return turn, model.exchanges[-1].results


def test_a_tool_has_a_timeout() -> None:
    @agent_function
    async def linger() -> str:
        """Take as long as it may."""
        return ""

    async def answer(_arguments: dict[str, Any]) -> str:
        return ""

    remote = remote_function("linger", "Take as long as it may.", {"type": "object"}, answer)
    assert [linger.timeout_seconds, remote.timeout_seconds] == [TIMEOUT_SECONDS] * 2


def test_a_function_without_a_docstring_is_refused() -> None:
    """PYTHONOPTIMIZE=2 removes all docstrings."""

    async def mute() -> str:
        return ""

    with pytest.raises(UnusableSettings, match=r"mute has no docstring.*PYTHONOPTIMIZE"):
        agent_function(mute)


GO_ON = "Go on without its result and say so."


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ('{"what": "boom"}', f"The tool failed: RuntimeError. {GO_ON}"),
        # The SDK's name for the error.
        ('{"what": "cancelled"}', f"The tool failed: _FunctionToolCancelledError. {GO_ON}"),
        ('{"what": "doze"}', f"The tool failed: it took too long. {GO_ON}"),
        (
            '{"what": ' + CANARY,
            "The tool failed: these are not its arguments. Call it again with the right ones.",
        ),
        (
            json.dumps({"why": CANARY}),
            "The tool failed: these are not its arguments. Call it again with the right ones.",
        ),
    ],
    ids=["raises", "cancels", "hangs", "no JSON", "other arguments"],
)
async def test_a_tool_that_fails(
    with_server: WithServer,
    arguments: str,
    line: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    visitor, model = await with_server()

    turn, results = await turn_with(visitor, model, ("fetch", arguments))

    assert results == [line]
    [task] = fetching(turn)
    assert (task["title"], task["content"]) == ("Fetching", "This did not work.")
    assert CANARY not in str(turn.events)
    logged = capsys.readouterr().err
    assert logged.count("WARNING engine.tools.tool") == 1
    if "boom" not in arguments:
        # The arguments may contain the user's text.
        assert CANARY not in logged + caplog.text


async def test_a_tool_that_does_not_exist(with_server: WithServer) -> None:
    visitor, model = await with_server()

    turn, results = await turn_with(visitor, model, ("conjure", "{}"), *asked("text"))

    assert results.count("The tool failed: there is no such tool. Go on without it.") == 1
    assert results.count("fine") == 1
    assert {task.get("content") for task in fetching(turn)} == {None, "This did not work."}


async def test_one_of_several_that_fails_leaves_the_others(with_server: WithServer) -> None:
    visitor, model = await with_server()

    turn, results = await turn_with(visitor, model, *asked("doze", "text", "boom", "object"))

    assert [line.split(".")[0] for line in results] == [
        "The tool failed: it took too long",
        "fine",
        "The tool failed: RuntimeError",
        '{"one": [1, "ü"]}',
    ]
    failed = [task.get("content") for task in fetching(turn)]
    assert failed == ["This did not work.", None, "This did not work.", None]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nothing", "null"),
        ("object", '{"one": [1, "ü"]}'),
        ("bytes", "\"b'raw'\""),
        ("awkward", '"awkward"'),
        ("image", '{"type": "image", "image_url": "http://nowhere.test/"}'),
        ("unstorable", "ab\ufffdc"),
    ],
)
async def test_a_tool_that_does_not_return_text(
    with_server: WithServer, what: str, told: str
) -> None:
    visitor, model = await with_server()

    _, results = await turn_with(visitor, model, *asked(what))

    assert results == [told]


async def test_a_tool_that_returns_ten_megabytes(with_server: WithServer) -> None:
    visitor, model = await with_server()

    turn, [result] = await turn_with(visitor, model, *asked("huge"))
    await visitor.say("and?", turn.thread_id)

    assert len(result) == MAX_OUTPUT_CHARS
    assert result.startswith("xxx")
    assert result.endswith("x\n[cut: this is the beginning of 10000000 characters]")
    assert model.exchanges[-1].results == [
        result
    ]  # the stored result is the one that the model got


async def test_invalid_json_arguments_are_not_stored(
    with_server: WithServer,
) -> None:
    visitor, model = await with_server()

    turn, _ = await turn_with(visitor, model, ("fetch", "{broken"))
    await visitor.say("and?", turn.thread_id)

    history = model.exchanges[-1].body["input"]
    assert [item["arguments"] for item in history if "arguments" in item] == ["{}"]


@pytest.mark.parametrize("rounds", [(4,), (2, 2), (3, 1)])
async def test_the_calls_of_a_turn_are_limited(
    with_server: WithServer, rounds: tuple[int, ...]
) -> None:
    visitor, model = await with_server(tool_calls_per_turn=3)
    model.does(*(call(*asked(*["text"] * number)) for number in rounds))

    turn = await visitor.say("go")

    assert turn.error is not None
    assert turn.error["message"] == "This took too many steps. Please ask for something smaller."
    assert turn.error["allow_retry"] is True
    assert len(made) == sum(rounds[:-1])  # calls of the last round were not started
    assert turn.done("workflow")
    # The next turn has a new limit.
    again, results = await turn_with(visitor, model, *asked("text", "text", "text"))
    assert results == ["fine"] * 3
    assert again.error is None
