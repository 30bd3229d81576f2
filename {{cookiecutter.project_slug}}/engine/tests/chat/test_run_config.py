"""How the Agents SDK is asked to run."""

from typing import Any

import pytest
from agents import Runner
from agents.testing import ScriptedModel, assistant_message

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.models.source import ModelSource
from engine.store.store import SqlStore
from engine.tests.fixtures import OneModel, Scripted


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The keyword arguments of each run."""
    seen: list[dict[str, Any]] = []
    run_streamed = Runner.run_streamed

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return run_streamed(*args, **kwargs)

    monkeypatch.setattr(Runner, "run_streamed", watched)
    return seen


@pytest.mark.parametrize("tracing", [True, False])
async def test_traces_are_a_choice_and_never_hold_what_was_said(
    with_model: Scripted, runs: list[dict[str, Any]], tracing: bool
) -> None:
    model = ScriptedModel([[assistant_message("ok")]] * 2)
    visitor = await with_model(model, tracing=tracing, title_model="small")
    await visitor.say("hi")

    assert len(runs) == 2  # the answer's and the title's
    for run in runs:
        assert run["run_config"].tracing_disabled is not tracing
        assert run["run_config"].trace_include_sensitive_data is False


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that were asked for."""
    names: list[str] = []

    def get(self: OneModel, name: str) -> Any:
        names.append(name)
        return self._model

    assert issubclass(OneModel, ModelSource)
    monkeypatch.setattr(OneModel, "get", get)
    return names


async def test_the_first_model_on_offer_answers_unless_one_is_picked(
    with_model: Scripted, asked: list[str]
) -> None:
    model = ScriptedModel([[assistant_message("ok")]] * 2)
    visitor = await with_model(model, models=("small", "large"))
    await visitor.say("hi")
    await visitor.say("hi", model="large")

    assert asked == ["small", "large"]


async def test_a_retry_of_what_has_left_the_offer_takes_the_default(
    with_model: Scripted, asked: list[str], database: Database
) -> None:
    model = ScriptedModel([[assistant_message("ok")]] * 2)
    visitor = await with_model(model, models=("small", "large"))
    turn = await visitor.say("hi", model="large")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    item = await store.load_item(turn.thread_id, turn.user_message_id, owner)
    gone = item.model_dump()
    gone["inference_options"] = {"model": "retired", "tool_choice": {"id": "retired"}}
    await store.save_item(turn.thread_id, type(item).model_validate(gone), owner)

    retried = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert retried.answer == "ok"
    assert asked == ["large", "small"]
