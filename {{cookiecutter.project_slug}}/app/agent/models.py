"""Where answers come from: OpenAI, a compatible server, or the demo model."""

import asyncio
from typing import Any

from agents import Model, ModelTimeoutError, OpenAIProvider
from openai import AsyncOpenAI, Timeout

from app.agent.demo import DemoModel
from app.config import Settings

CONNECT_SECONDS = 5.0


class ModelSource:
    """One client per process, made at start so that a turn does not pay for it."""

    def __init__(self, settings: Settings) -> None:
        self._demo = DemoModel(settings.demo_delay_seconds)
        self._client: AsyncOpenAI | None = None
        if settings.openai_api_key is not None:
            self._client = PatientOpenAI(
                settings.model_timeout_seconds,
                api_key=settings.openai_api_key.get_secret_value(),
                base_url=settings.openai_base_url,
                max_retries=settings.model_retries,
            )
            self._provider = OpenAIProvider(
                openai_client=self._client,
                use_responses=settings.openai_api == "responses",
            )

    def get(self, name: str) -> Model:
        return self._demo if self._client is None else self._provider.get_model(name)

    @property
    def client(self) -> AsyncOpenAI | None:
        """Leads to OpenAI or the compatible server; None without a key."""
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


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
                return await super().request(*args, **kwargs)
        except TimeoutError:
            raise ModelTimeoutError(self._patience) from None
