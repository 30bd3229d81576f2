"""The application's name stands in page.toml alone."""

import shutil
from pathlib import Path

from fastapi import FastAPI
from httpx2 import AsyncClient

from engine.settings.settings import Settings
from engine.tests.application import PAGE_FOLDER, create_app
from engine.tests.fixtures import serving

NAME = "Brot & „Salz“"
SHOWN = "Brot &amp; „Salz“"


def renamed(settings: Settings, place: Path) -> FastAPI:
    """The application after page.toml has been edited."""
    folder = shutil.copytree(PAGE_FOLDER, place / "page")
    lines = (folder / "page.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    [number] = [index for index, line in enumerate(lines) if line.startswith("name = ")]
    lines[number] = f'name = "{NAME}"\n'
    (folder / "page.toml").write_text("".join(lines), encoding="utf-8")
    return create_app(settings.model_copy(update={"openapi_json": True}), page=folder)


async def check_page(client: AsyncClient, path: str) -> None:
    """The new name stands in the title and on the page."""
    html = (await client.get(path)).text
    assert f"{SHOWN}</title>" in html, path
    assert SHOWN in html.partition("<body>")[2], path


async def test_a_name_that_is_changed_there_is_changed_everywhere(
    settings: Settings, tmp_path: Path
) -> None:
    app = renamed(settings, tmp_path)
    pages = app.state.chat.authenticator.pages
    async with serving(app) as url, AsyncClient(base_url=url, timeout=60) as client:
        for path in ("/", *([pages.sign_in] if pages else [])):
            await check_page(client, path)
        document = (await client.get("/openapi.json")).json()
    assert document["info"]["title"] == NAME
