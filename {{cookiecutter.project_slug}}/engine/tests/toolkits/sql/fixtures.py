"""The shop's database, as its reader and as its owner."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from engine.tests.toolkits.sql.shop import analytics_at, reader, shop
from engine.toolkits.sql.database import Analytics


@pytest.fixture(scope="package")
def shop_url(postgres_url: str) -> Iterator[str]:
    with shop(postgres_url) as url:
        yield url


@pytest.fixture(scope="package")
def reader_url(shop_url: str) -> Iterator[str]:
    with reader(shop_url) as url:
        yield url


@pytest_asyncio.fixture
async def analytics(reader_url: str) -> AsyncIterator[Analytics]:
    async with analytics_at(reader_url) as analytics:
        yield analytics


@pytest_asyncio.fixture
async def as_superuser(shop_url: str) -> AsyncIterator[Analytics]:
    """A connection as superuser, to test the other protections without the role."""
    async with analytics_at(shop_url) as analytics:
        yield analytics
