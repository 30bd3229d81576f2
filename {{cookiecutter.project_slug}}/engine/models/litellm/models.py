"""Models of other providers, through LiteLLM: `litellm/<provider>/<model>`.

LiteLLM takes seconds to import, so that is done when a setting names such a model.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, MutableMapping
from difflib import get_close_matches
from functools import partial
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

from engine.models.litellm.patience import Heard, Patience
from engine.settings.env_values import NOT_A_HEADER_VALUE, add_to_environment, is_header_value
from engine.settings.providers import without_provider
from engine.settings.settings import EnvSettings, Settings, UnusableSettings

# What LiteLLM does on import unless it is told not to: fetch a list of prices from GitHub, and
# look for an `.env` wherever it may be.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}

FIRST_WAIT_SECONDS = 0.5

# `drop_params` leaves out what a model is known to refuse, such as having to call a tool.
ONCE = {"max_retries": 0, "drop_params": True}

EXAMPLE = "litellm/<provider>/<model>, such as litellm/anthropic/claude-sonnet-5"
ALL_PROVIDERS = "See https://docs.litellm.ai/docs/providers"


class LitellmModels:
    """Raises `UnusableSettings` where LiteLLM is not installed, does not know a provider, or a key
    cannot be sent.

    Providers' keys are where LiteLLM looks for them, such as ANTHROPIC_API_KEY: in the process
    environment, to which what `.env` says is added.
    """

    def __init__(self, settings: Settings) -> None:
        if find_spec("litellm") is None:
            raise UnusableSettings(
                f"{settings.other_models[0]} needs LiteLLM, which is not installed. "
                "Run: python3 -m app setup (or: uv sync)"
            )
        if env_file := EnvSettings.model_config.get("env_file"):
            add_to_environment(Path(str(env_file)))
        strip_api_keys(os.environ)
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._litellm = cast(Any, import_module("litellm"))
        self._litellm.suppress_debug_info = True  # it would print advice in the midst of a log
        self._patience = settings.model_timeout_seconds
        self._retries = settings.model_retries
        for name in settings.other_models:
            self._check(name, settings.setting_of(name))

    def get(self, name: str) -> Model:
        model = import_module("engine.models.litellm.stream").ObservedModel
        connect = partial(model, without_provider(name))
        return PatientModel(connect, self._patience, self._retries)

    def missing_keys(self, name: str) -> list[str]:
        """The variables that this model's provider wants and the environment has not."""
        found = self._litellm.validate_environment(without_provider(name))
        return [str(key) for key in found["missing_keys"]]

    async def close(self) -> None:
        await self._litellm.close_litellm_async_clients()
        # Otherwise the next user of LiteLLM in this process would get closed clients.
        self._litellm.in_memory_llm_clients_cache.flush_cache()

    def _check(self, name: str, setting: str) -> None:
        asked = without_provider(name)
        provider, _, model = asked.partition("/")
        providers = [str(getattr(known, "value", known)) for known in self._litellm.provider_list]
        if not provider or (provider in providers and not model.strip()):
            raise UnusableSettings(
                f"{setting}: expected {EXAMPLE}, found {name}, which names no "
                f"{'model' if provider else 'provider'}. {ALL_PROVIDERS}"
            )
        try:
            self._litellm.get_llm_provider(asked)
        except self._litellm.BadRequestError:
            similar = ", ".join(get_close_matches(provider, providers)) or "none"
            raise UnusableSettings(
                f"{setting}: expected {EXAMPLE}, found {name}. LiteLLM knows {len(providers)} "
                f"providers, but not {provider}. Similar ones: {similar}. {ALL_PROVIDERS}"
            ) from None


connect = LitellmModels


def strip_api_keys(environment: MutableMapping[str, str]) -> None:
    """Strip white space from every `…_API_KEY`. Raises `UnusableSettings` if one cannot be sent."""
    for name, value in list(environment.items()):
        if name.endswith("_API_KEY"):
            environment[name] = value.strip()
            if not is_header_value(value.strip()):
                raise UnusableSettings(f"{name} {NOT_A_HEADER_VALUE}")


class PatientModel(Model):
    """Waits and tries again as `PatientOpenAI` does.

    What LiteLLM takes for a timeout and when it tries again differs from provider to provider, so
    neither is left to it.
    """

    def __init__(
        self, connect: Callable[[Heard], Model], patience_seconds: float, retries: int
    ) -> None:
        self._connect = connect
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
        ours = ModelSettings(extra_args={**ONCE, "timeout": self._patience})
        asked = (system_instructions, input, model_settings.resolve(ours), *args)
        patience = Patience(self._patience)
        try:
            async with patience:
                events, event = await self._begin(self._connect(patience.heard), asked, kwargs)
            while event is not None:
                yield event
                async with patience:
                    event = await anext(events, None)
        except TimeoutError:
            raise ModelTimeoutError(self._patience) from None

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._connect(lambda: None).get_response(*args, **kwargs)

    async def _begin(
        self, model: Model, asked: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[AsyncGenerator[TResponseStreamEvent, None], TResponseStreamEvent | None]:
        """The answer, and its first event, after as many tries as it may take."""
        attempt = 1
        while True:
            events = cast(
                "AsyncGenerator[TResponseStreamEvent, None]",
                model.stream_response(*asked, **kwargs),
            )
            try:
                return events, await anext(events, None)
            except Exception as error:
                advice = model.get_retry_advice(
                    ModelRetryAdviceRequest(error, attempt=attempt, stream=True)
                )
                if attempt > self._retries or advice is None or not advice.suggested:
                    raise
                wait = advice.retry_after or FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(wait)
            attempt += 1
