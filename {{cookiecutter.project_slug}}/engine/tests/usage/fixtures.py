"""An application whose model has a price, and the server that it asks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from engine.settings.settings import Settings
from engine.tests.fixtures import CreateApp, serving_chat, visiting
from engine.tests.model_server import CANARY, ModelServer, model_server
from engine.tests.talk import Visitor

MODEL = "our-model"
# Each response of the server has 10 tokens in and 5 out, and so costs 2 US dollars.
PRICES = f"""
["{MODEL}"]
input = 100_000
output = 200_000
cached = 10_000
"""
DOLLARS = 2

Paying = Callable[..., Awaitable[Visitor]]


@pytest.fixture
def prices_file(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, encoding="utf-8")
    return file


@pytest_asyncio.fixture
async def priced_server() -> AsyncIterator[tuple[ModelServer, str]]:
    async with model_server() as (server, url):
        yield server, url


@pytest_asyncio.fixture
async def paying(
    create_app: CreateApp,
    settings: Settings,
    prices_file: Path,
    priced_server: tuple[ModelServer, str],
) -> AsyncIterator[Paying]:
    """Serve the application: `await paying(user_budget_per_day=Decimal(5))` gives a new user.

    Called again, it is another worker; `user_id` names a user who exists.
    """
    async with AsyncExitStack() as stack:

        async def start(user_id: str | None = None, **changes: Any) -> Visitor:
            asked = {"openai_api_key": SecretStr(CANARY), "openai_base_url": priced_server[1]}
            priced = {"model": MODEL, "prices_file": prices_file, "model_retries": 0}
            changed = settings.model_copy(update=asked | priced | changes)
            url = await stack.enter_async_context(serving_chat(create_app(changed)))
            visit = visiting(url, changed, user_id=user_id)
            return await stack.enter_async_context(visit)

        yield start
