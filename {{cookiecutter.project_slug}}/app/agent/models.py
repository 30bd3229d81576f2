"""Where answers come from: OpenAI, a compatible server, or the demo model."""

from agents import Model, OpenAIProvider
from openai import AsyncOpenAI

from app.agent.demo import DemoModel
from app.config import Settings


class ModelSource:
    """One client per process, made at start so that a turn does not pay for it."""

    def __init__(self, settings: Settings) -> None:
        self._demo = DemoModel(settings.demo_delay_seconds)
        self._client: AsyncOpenAI | None = None
        if settings.openai_api_key is not None:
            self._client = AsyncOpenAI(
                api_key=settings.openai_api_key.get_secret_value(),
                base_url=settings.openai_base_url,
                timeout=settings.model_timeout_seconds,
            )
            self._provider = OpenAIProvider(
                openai_client=self._client,
                use_responses=settings.openai_api == "responses",
            )

    def get(self, name: str) -> Model:
        return self._demo if self._client is None else self._provider.get_model(name)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
