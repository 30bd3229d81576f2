"""Where answers come from."""

from typing import Any

import pytest
from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel
from openai import Timeout
from pydantic import SecretStr

from engine.demo.model import DemoModel
from engine.models.source import CONNECT_SECONDS, ModelSource
from engine.settings.settings import Settings, UnusableSettings

ELSEWHERE = "elsewhere/provider/large"


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


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"model": ELSEWHERE}, "MODEL"),
        ({"models": ("large", ELSEWHERE)}, "MODELS"),
        ({"title_model": ELSEWHERE}, "TITLE_MODEL"),
    ],
)
@pytest.mark.parametrize("key", [None, SecretStr("sk-test")])
def test_a_model_that_only_another_provider_has_is_refused_at_the_start(
    settings: Settings, changes: dict[str, Any], setting: str, key: SecretStr | None
) -> None:
    """It would be answered by the demo model, or by an error of OpenAI's."""
    changed = settings.model_copy(update={"openai_api_key": key, **changes})
    with pytest.raises(UnusableSettings, match=f"^{setting}: .*found {ELSEWHERE}.*") as error:
        ModelSource(changed, DemoModel(0))
    assert "OPENAI_BASE_URL" in str(error.value)
    assert "docs/configure.md, Other models" in str(error.value)
    assert "\n" not in str(error.value)

    server = changed.model_copy(update={"openai_base_url": "http://model.test/v1"})
    assert server.unreachable_models == ()


class OtherDefault(Settings):
    """As in a project whose answer to `model` is such a name."""

    model: str = "company/large"


def test_a_default_model_that_waits_for_its_server_is_no_error() -> None:
    assert OtherDefault().is_demo
    assert OtherDefault().unreachable_models == ()
    assert OtherDefault(openai_api_key=SecretStr("sk-test")).unreachable_models == (
        "company/large",
    )
