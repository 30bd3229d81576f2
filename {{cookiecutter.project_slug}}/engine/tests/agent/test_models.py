"""Where answers come from."""

import pytest
from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel
from openai import Timeout
from pydantic import SecretStr

from engine.demo.model import DemoModel
from engine.models.source import CONNECT_SECONDS, ModelSource
from engine.settings.settings import Settings


def test_without_a_key_the_demo_model_answers(settings: Settings) -> None:
    assert isinstance(ModelSource(settings, DemoModel(0)).get("any"), DemoModel)


@pytest.mark.parametrize(
    ("api", "kind"),
    [("responses", OpenAIResponsesModel), ("chat_completions", OpenAIChatCompletionsModel)],
)
async def test_with_a_key_the_chosen_api_answers_in_time(
    settings: Settings, api: str, kind: type[object]
) -> None:
    changes = {
        "openai_api_key": SecretStr("sk-test"),
        "openai_base_url": "http://model.test/v1",
        "openai_api": api,
        "model_timeout_seconds": 7.0,
    }
    source = ModelSource(settings.model_copy(update=changes), DemoModel(0))
    model = source.get("some-model")

    assert isinstance(model, OpenAIResponsesModel | OpenAIChatCompletionsModel)
    assert type(model) is kind
    assert model.model == "some-model"
    client = model._get_client() if hasattr(model, "_get_client") else model._client
    assert client.timeout == Timeout(7.0, connect=CONNECT_SECONDS)
    assert str(client.base_url).startswith("http://model.test/v1")
    await source.close()
