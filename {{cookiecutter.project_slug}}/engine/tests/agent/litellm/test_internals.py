"""The contract of the SDK's private members that models of LiteLLM are built on."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
from agents import Model, ModelSettings
from agents.models.interface import ModelTracing

from engine.models.litellm.models import QUIET
from engine.sdk_internals import CompletionsHooks


class Sent(Exception):
    """The temperature and the effort of a request that would have been sent."""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    from agents.extensions.models.litellm_model import LitellmModel

    class Opened(CompletionsHooks, LitellmModel):  # type: ignore[misc] # opens two methods
        async def fetch(
            self, settings: ModelSettings, send: Callable[[ModelSettings], Awaitable[Any]]
        ) -> Any:
            return await send(settings.resolve(ModelSettings(temperature=0.5)))

        def reasoning_effort(self, settings: ModelSettings) -> Any | None:
            assert super().reasoning_effort(settings) is None
            return "high"

    async def send(**request: Any) -> None:
        raise Sent(request["temperature"], request["reasoning_effort"])

    monkeypatch.setattr(import_module("litellm"), "acompletion", send)
    return Opened("anthropic/claude-test")


async def test_settings_and_effort_of_a_request_can_be_replaced(model: Model) -> None:
    with pytest.raises(Sent) as sent:
        await model.get_response(
            None,
            "Hello",
            ModelSettings(),
            [],
            None,
            [],
            ModelTracing.DISABLED,
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )

    assert sent.value.args == (0.5, "high")
