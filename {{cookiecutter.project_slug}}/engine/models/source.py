"""Where answers come from: OpenAI, a compatible server, another provider, or the demo model."""

import asyncio
import re
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

from agents import (
    Model,
    ModelSettings,
    ModelTimeoutError,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
)
from openai import AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk

from engine.models.boundary.endings import track_finish_reason
from engine.models.boundary.learned import LearnedWorkarounds, replays_reasoning
from engine.models.boundary.model import Dialect
from engine.settings.providers import PROVIDERS, provider_of
from engine.settings.settings import Settings, UnusableSettings

CONNECT_SECONDS = 5.0
AZURE_WITHOUT_VERSION = re.compile(r"https://[\w-]+\.openai\.azure\.com(?!.*/v1/?$)")


class Provider(Protocol):
    """Models that are reached in another way than OpenAI's API."""

    def get(self, name: str) -> Model: ...

    async def close(self) -> None: ...


class ModelSource:
    """One client per process, made at start so that a turn does not pay for it.

    `demo` answers where no model is set up.
    Raises `UnusableSettings` for a model that the settings name and nobody here can ask.
    """

    def __init__(self, settings: Settings, demo: Model) -> None:
        self._demo = demo
        self._client = openai_client(settings)
        check_models(settings)
        self._providers = {
            provider: connect(provider, settings)
            for provider in filter(None, map(provider_of, settings.other_models))
        }
        self._has_responses = settings.openai_api == "responses"
        self._encrypted_reasoning = settings.reasoning_encrypted_content
        self._stream_options = settings.stream_options
        self._defaults = _defaults(settings)
        self._cache_key = settings.sends_cache_key
        self._learned: dict[str, LearnedWorkarounds] = {}
        if self._client is None and not settings.is_demo and settings.openai_models:
            raise UnusableSettings(f"{settings.openai_models[0]} needs OPENAI_API_KEY.")

    def get(self, name: str) -> Model:
        """The model itself; what talks to it does so through `BoundaryModel`."""
        if (provider := self._providers.get(provider_of(name) or "")) is not None:
            return provider.get(name)
        if self._client is None:
            return self._demo
        if self._has_responses:
            return OpenAIResponsesModel(name, self._client)
        return OpenAIChatCompletionsModel(name, self._client, replays_reasoning)

    def dialect(self, name: str) -> Dialect:
        """How the model of that name is spoken to. What is learned of it is kept."""
        is_responses = self._has_responses and provider_of(name) is None
        encrypted = self._encrypted_reasoning and self._client is not None
        learned = self._learned.setdefault(name, LearnedWorkarounds())
        dialect = Dialect(is_responses, encrypted, self._stream_options, learned)
        if self._client is None or provider_of(name) is not None:
            return dialect
        return replace(dialect, defaults=self._defaults, takes_cache_key=self._cache_key)

    @property
    def client(self) -> AsyncOpenAI | None:
        """Leads to OpenAI or the compatible server; None without a key."""
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
        for provider in self._providers.values():
            await provider.close()


def connect(provider: str, settings: Settings) -> Provider:
    """Import what reaches the provider's models. Raises `UnusableSettings` if it cannot."""
    connected: Provider = import_module(PROVIDERS[provider]).connect(settings)
    return connected


def check_models(settings: Settings) -> None:
    """Raises `UnusableSettings` for a model of a provider that this project cannot reach."""
    for name in settings.unreachable_models:
        raise UnusableSettings(
            f"{settings.setting_of(name)}: expected a model of OpenAI's, found {name}. Set "
            "OPENAI_BASE_URL to a server that has it, or generate or update this project with "
            f"{name} as the answer to `model`: docs/configure.md, Other models."
        )


def _defaults(settings: Settings) -> ModelSettings:
    tier = settings.service_tier
    return ModelSettings(
        prompt_cache_retention=settings.prompt_cache_retention,
        extra_args={"service_tier": tier} if tier else None,
    )


def openai_client(settings: Settings) -> AsyncOpenAI | None:
    """For OpenAI or a compatible server, such as Azure's, whose address ends in /openai/v1."""
    if settings.openai_api_key is None:
        return None
    url = settings.openai_base_url
    if url is not None and AZURE_WITHOUT_VERSION.match(url):
        raise UnusableSettings(
            f"OPENAI_BASE_URL={url} is Azure's dated API. Its present one is at "
            "https://NAME.openai.azure.com/openai/v1."
        )
    return PatientOpenAI(
        settings.model_timeout_seconds,
        base_url=url,
        api_key=settings.openai_api_key.get_secret_value(),
        max_retries=settings.model_retries,
    )


class PatientOpenAI(AsyncOpenAI):
    """Waits so long for the model to begin, retries and their waits included, and no longer.

    The client's own timeout starts anew with each try, and a `Retry-After` may ask for minutes.
    Once the answer has begun, its timeout is the longest silence.
    """

    def __init__(self, patience_seconds: float, **options: Any) -> None:
        timeout = Timeout(patience_seconds, connect=CONNECT_SECONDS)
        super().__init__(timeout=timeout, **options)
        self._patience = patience_seconds

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        try:
            async with asyncio.timeout(self._patience):
                answer = await super().request(*args, **kwargs)
        except TimeoutError:
            raise ModelTimeoutError(self._patience) from None
        is_of_chat = kwargs.get("stream_cls") == AsyncStream[ChatCompletionChunk]
        return track_finish_reason(answer) if is_of_chat else answer
