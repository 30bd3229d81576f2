"""The message of a failed run, and the items that it stores."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from chatkit.errors import CustomStreamError

from engine.tests import application
from engine.tests.application import build_agent
from engine.tests.fixtures import Scripted
from engine.turn.failures import friendly


class Unhurried(ScriptedModel):
    """Fails when all that came before has been read, as a model at the end of a network does."""

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(0.1)
        async for event in super().stream_response(*args, **kwargs):
            yield event


@pytest.mark.parametrize(
    ("error", "status", "words", "allow_retry"),
    [
        (openai.AuthenticationError, 401, "credentials", False),
        (openai.PermissionDeniedError, 403, "credentials", False),
        (openai.NotFoundError, 404, "could not take", False),
        (openai.BadRequestError, 400, "could not take", False),
        (openai.RateLimitError, 429, "busy", True),
        (openai.InternalServerError, 500, "cannot be reached", True),
    ],
)
def test_a_status_of_the_model_in_plain_words(
    error: type[openai.APIStatusError], status: int, words: str, allow_retry: bool
) -> None:
    request = httpx2.Request("POST", "http://model.test")
    response: Any = httpx2.Response(status, request=request)
    told = friendly(error("sk-secret", response=response, body=None))

    assert isinstance(told, CustomStreamError)
    assert words in told.message
    assert "secret" not in told.message
    assert told.allow_retry is allow_retry


def test_words_that_were_meant_for_the_user_stay() -> None:
    meant = CustomStreamError("You have no credit left.", allow_retry=False)
    assert friendly(meant) is meant


async def test_a_run_has_so_many_steps_and_no_more(with_model: Scripted) -> None:
    calls = [[function_call("shout", {"text": "x"}, call_id=str(n))] for n in range(4)]
    visitor = await with_model(ScriptedModel(calls), max_turns=2)

    turn = await visitor.say("go")

    assert turn.error is not None
    assert "too many steps" in turn.error["message"]


async def test_the_calls_of_a_failed_run_are_part_of_the_conversation(
    with_model: Scripted,
) -> None:
    model = Unhurried(
        [
            [assistant_message("One."), function_call("shout", {"text": "x"}, call_id="call_1")],
            ModelStep.raise_error(RuntimeError("boom")),
            ModelStep.raise_error(RuntimeError("boom")),
        ]
    )
    visitor = await with_model(model)
    turn = await visitor.say("shout hi")
    await visitor.say("and?", turn.thread_id)

    assert len(turn.done("assistant_message")) == 1
    assert [i["call_id"] for i in model.calls[2].input if "call_id" in i] == ["call_1"] * 2


async def test_a_run_that_ends_with_a_tool_closes_its_workflow(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        application,
        "build_agent",
        lambda turn: build_agent(turn).clone(tool_use_behavior="stop_on_first_tool"),
    )
    model = ScriptedModel([[function_call("shout", {"text": "x"}, call_id="call_1")]] * 2)
    visitor = await with_model(model)

    turn = await visitor.say("go")
    await visitor.say("again", turn.thread_id)

    [workflow] = turn.done("workflow")
    assert workflow["workflow"]["expanded"] is False
    assert {t["status_indicator"] for t in workflow["workflow"]["tasks"]} == {"complete"}
    # Nothing followed the call, and it is remembered all the same.
    assert [i["call_id"] for i in model.calls[1].input if "call_id" in i] == ["call_1"] * 2
