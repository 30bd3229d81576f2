"""The application's name stands in page.toml alone."""

import shutil
from pathlib import Path

import httpx2

from engine.page.files import ENGINE_FILES
from engine.settings.settings import Settings
from engine.tests.application import PAGE_FOLDER, create_app
from engine.tests.fixtures import serving

NAME = "Brot & „Salz“"
SHOWN = "Brot &amp; „Salz“"


async def test_a_name_that_is_changed_there_is_changed_everywhere(
    settings: Settings, tmp_path: Path
) -> None:
    folder = shutil.copytree(PAGE_FOLDER, tmp_path / "page")
    lines = (folder / "page.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    [place] = [index for index, line in enumerate(lines) if line.startswith("name = ")]
    lines[place] = f'name = "{NAME}"\n'
    (folder / "page.toml").write_text("".join(lines), encoding="utf-8")

    app = create_app(settings.model_copy(update={"openapi_json": True}), page=folder)
    pages = app.state.chat.authenticator.pages
    embedded = ["/embed"] if (ENGINE_FILES / "launcher").is_dir() else []
    async with serving(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
        for path in ("/", *embedded, *([pages.sign_in] if pages else [])):
            html = (await client.get(path)).text
            assert f"{SHOWN}</title>" in html, path
            assert SHOWN in html.partition("<body>")[2], path
        document = (await client.get("/openapi.json")).json()
    assert document["info"]["title"] == NAME
