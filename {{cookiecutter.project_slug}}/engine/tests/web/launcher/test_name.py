"""The application's name in the page of the frame."""

from pathlib import Path

from httpx2 import AsyncClient

from engine.settings.settings import Settings
from engine.tests.fixtures import serving
from engine.tests.test_name import check_page, renamed


async def test_the_page_of_the_frame_has_it(settings: Settings, tmp_path: Path) -> None:
    app = renamed(settings, tmp_path)
    async with serving(app) as url, AsyncClient(base_url=url, timeout=60) as client:
        await check_page(client, "/embed")
