"""The contract of the SDK's private members that models of LiteLLM are built on."""

from collections.abc import Awaitable, Callable
from typing import Any

import litellm
import pytest
from agents import ModelSettings
from agents.extensions.models.litellm_model import LitellmModel
from agents.models.interface import ModelTracing

from engine.sdk_internals import CompletionsHooks


class Sent(Exception):
    """The temperature and the effort of a request that would have been sent."""


class Opened(CompletionsHooks, LitellmModel):  # type: ignore[misc] # opens two methods
    async def fetch(
        self, settings: ModelSettings, send: Callable[[ModelSettings], Awaitable[Any]]
    ) -> Any:
        return await send(settings.resolve(ModelSettings(temperature=0.5)))

    def reasoning_effort(self, settings: ModelSettings) -> Any | None:
        assert super().reasoning_effort(settings) is None
        return "high"


async def test_settings_and_effort_of_a_request_can_be_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send(**request: Any) -> None:
        raise Sent(request["temperature"], request["reasoning_effort"])

    monkeypatch.setattr(litellm, "acompletion", send)
    model = Opened("anthropic/claude-test")

    with pytest.raises(Sent) as sent:
        await model.get_response(
            None, "Hello", ModelSettings(), [], None, [], ModelTracing.DISABLED
        )

    assert sent.value.args == (0.5, "high")
