"""The fixtures of `engine.tests.fixtures`, for the application as it is in `app`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app import auth, main
from engine import Settings
from engine.auth.base import SignIn
from engine.tests.fixtures import CreateApp, serving_chat


@pytest.fixture(scope="session")
def create_app() -> CreateApp:
    return main.create_app


@pytest.fixture(scope="session")
def sign_in() -> SignIn:
    return auth.sign_in


@pytest_asyncio.fixture(scope="session")
async def base_url(create_app: CreateApp, settings: Settings) -> AsyncIterator[str]:
    """The application on a real server that all of these tests share."""
    async with serving_chat(create_app(settings)) as url:
        yield url
