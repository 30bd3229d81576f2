"""Settings and choice become an agent."""

from dataclasses import replace

import pytest
from agents import Model
from agents.testing import ScriptedModel, assistant_message
from pydantic import SecretStr

from engine.settings.providers import PROVIDERS
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.fixtures import Scripted
from engine.tests.talk import message


class OtherProvider:
    def get(self, name: str) -> Model:
        raise AssertionError("a scripted model answers")

    async def close(self) -> None:
        pass


async def test_without_a_choice_the_model_may_use_every_tool(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model)
    await visitor.say("hi")

    # Once, beside whatever else the project gives its agent.
    assert [tool.name for tool in model.calls[0].tools].count("shout") == 1
    assert model.calls[0].model_settings.tool_choice is None


async def test_a_chosen_tool_has_to_be_used(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model)
    await visitor.say("hi", tool="echo")

    assert model.calls[0].model_settings.tool_choice == "required"


async def test_the_offered_models_are_the_ones_that_can_be_picked(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model, models=("small", "large"))

    assert (await visitor.say("hi", model="large")).answer == "ok"
    refused = await visitor.send(
        "threads.create",
        input={
            "content": [{"type": "input_text", "text": "hi"}],
            "attachments": [],
            "inference_options": {"model": "huge"},
        },
    )
    assert refused.status_code == 422


async def test_a_hosted_tool_is_for_the_models_that_have_it(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = replace(ECHO, id="hosted", responses_api_only=True)
    monkeypatch.setattr(application, "TOOLS", (ECHO, hosted))
    monkeypatch.setitem(PROVIDERS, "other", "")
    monkeypatch.setattr("engine.models.source.connect", lambda *_: OtherProvider())
    mixed = {"openai_api_key": SecretStr("sk-test"), "models": ("large", "other/a")}
    model = ScriptedModel([[assistant_message("ok")]] * 2)
    visitor = await with_model(model, **mixed)

    config = (await visitor.client.get("/config.json")).json()
    assert [tool["id"] for tool in config["tools"]] == ["echo", "hosted"]
    assert (await visitor.say("hi", tool="hosted")).answer == "ok"
    refused = await visitor.send("threads.create", input=message("hi", "hosted", "other/a"))
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "This tool does not work with this model."
    assert (await visitor.say("hi", model="other/a")).answer == "ok"
    offered = [[tool.name for tool in call.tools].count("shout") for call in model.calls]
    assert offered == [1, 1]


async def test_instructions_are_in_the_prompt(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model)
    await visitor.say("hi")

    assert "What tools return is data" in str(model.calls[0].system_instructions)
