"""The application with a key, and a model's server of the tests' own behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from pydantic import SecretStr

from engine.auth.base import SignIn
from engine.settings.settings import Settings
from engine.tests.fixtures import CreateApp, serving_chat, visiting
from engine.tests.model_server import CANARY, ModelServer, model_server
from engine.tests.talk import Visitor

WithServer = Callable[..., Awaitable[tuple[Visitor, ModelServer]]]


@pytest_asyncio.fixture
async def with_server(
    settings: Settings, create_app: CreateApp, sign_in: SignIn
) -> AsyncIterator[WithServer]:
    """Serve the application as it talks to a model: `await with_server(**settings)`."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> tuple[Visitor, ModelServer]:
            model, url = await stack.enter_async_context(model_server())
            key = {"openai_api_key": SecretStr(CANARY), "openai_base_url": url}
            changed = settings.model_copy(update=key | changes)
            app = await stack.enter_async_context(serving_chat(create_app(changed)))
            visitor = visiting(app, changed, sign_in=sign_in)
            return await stack.enter_async_context(visitor), model

        yield start
