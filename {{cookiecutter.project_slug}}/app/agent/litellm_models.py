"""Models of other providers, through LiteLLM: `litellm/<provider>/<model>`.

LiteLLM is an extra of this project and takes seconds to import: only a setting that names such a
model brings it in.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from agents import (
    Model,
    ModelResponse,
    ModelRetryAdviceRequest,
    ModelSettings,
    ModelTimeoutError,
    TResponseInputItem,
)
from agents.items import TResponseStreamEvent

from app.config import LITELLM, EnvSettings, Settings, UnusableSettings
from app.env_values import add_to_environment, clean_keys

# What LiteLLM does on import unless it is told not to: fetch a list of prices from GitHub, and
# look for an `.env` wherever it may be.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}

FIRST_WAIT_SECONDS = 0.5


class LitellmModels:
    """Raises `UnusableSettings` where LiteLLM is not installed, or a key cannot be sent.

    Providers' keys are where LiteLLM looks for them, such as ANTHROPIC_API_KEY: in the process
    environment, to which what `.env` says is added.
    """

    def __init__(self, settings: Settings) -> None:
        if find_spec("litellm") is None:
            raise UnusableSettings(
                f"{settings.litellm_models[0]} needs LiteLLM, which is not installed. "
                "Run: python -m app setup (or: uv sync --inexact --extra litellm; "
                "for the image: docker build --build-arg EXTRA=litellm)"
            )
        if env_file := EnvSettings.model_config.get("env_file"):
            add_to_environment(Path(str(env_file)))
        try:
            clean_keys(os.environ)
        except ValueError as error:
            raise UnusableSettings(str(error)) from None
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._litellm = cast(Any, import_module("litellm"))
        self._litellm.suppress_debug_info = True  # it would print advice in the midst of a log
        self._patience = settings.model_timeout_seconds
        self._retries = settings.model_retries

    def get(self, name: str) -> Model:
        provider = import_module("agents.extensions.models.litellm_provider").LitellmProvider()
        return PatientModel(
            provider.get_model(name.removeprefix(LITELLM)), self._patience, self._retries
        )

    def missing_keys(self, name: str) -> list[str]:
        """The variables that this model's provider wants and the environment has not."""
        found = self._litellm.validate_environment(name.removeprefix(LITELLM))
        return [str(key) for key in found["missing_keys"]]

    async def close(self) -> None:
        await self._litellm.close_litellm_async_clients()


class PatientModel(Model):
    """Waits and tries again as `PatientOpenAI` does.

    What LiteLLM takes for a timeout and when it tries again differs from provider to provider, so
    neither is left to it.
    """

    def __init__(self, model: Model, patience_seconds: float, retries: int) -> None:
        self._model = model
        self._patience = patience_seconds
        self._retries = retries

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        once = ModelSettings(extra_args={"max_retries": 0, "timeout": self._patience})
        asked = (system_instructions, input, model_settings.resolve(once), *args)
        try:
            async with asyncio.timeout(self._patience):
                events, event = await self._begin(asked, kwargs)
            while event is not None:
                yield event
                async with asyncio.timeout(self._patience):
                    event = await anext(events, None)
        except TimeoutError:
            raise ModelTimeoutError(self._patience) from None

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._model.get_response(*args, **kwargs)

    async def _begin(
        self, asked: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[AsyncGenerator[TResponseStreamEvent, None], TResponseStreamEvent | None]:
        """The answer, and its first event, after as many tries as it may take."""
        attempt = 1
        while True:
            events = cast(
                "AsyncGenerator[TResponseStreamEvent, None]",
                self._model.stream_response(*asked, **kwargs),
            )
            try:
                return events, await anext(events, None)
            except Exception as error:
                advice = self._model.get_retry_advice(
                    ModelRetryAdviceRequest(error, attempt=attempt, stream=True)
                )
                if attempt > self._retries or advice is None or not advice.suggested:
                    raise
                wait = advice.retry_after or FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(wait)
            attempt += 1
