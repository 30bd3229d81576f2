"""Names with hashes, compression, and bundles."""

import json
import logging
import subprocess
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from engine.page.bundle import BROWSERS, BUILT, TARGET, bundle, find_esbuild
from engine.page.esbuild import find_installed
from engine.page.files import ENGINE_FILES, FOR_GOOD, PageFiles
from engine.page.hashed_pages import HashedPages
from engine.settings.settings import PROJECT_ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "theme.css").write_text('body { background: url("leaf.svg") }')
    (tmp_path / "leaf.svg").write_text("<svg/>")
    return tmp_path


def client(files: PageFiles) -> httpx2.AsyncClient:
    app = FastAPI()
    app.mount("/static", files)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://chat.test")


async def test_a_name_with_the_contents_hash_is_kept_for_good(folder: Path) -> None:
    files = PageFiles(folder)
    name = files.hashed("theme.css")

    async with client(files) as page:
        hashed, plain = await page.get(f"/static/{name}"), await page.get("/static/theme.css")

    assert name != "theme.css"
    assert hashed.headers["cache-control"] == FOR_GOOD == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "no-cache"
    assert hashed.text == plain.text


async def test_another_versions_name_gets_the_present_file_for_now(folder: Path) -> None:
    files = PageFiles(folder)
    name = files.hashed("theme.css")
    (folder / "theme.css").write_text("body { color: tomato }")

    async with client(files) as page:
        response = await page.get(f"/static/{name}")

    assert response.text == "body { color: tomato }"
    assert response.headers["cache-control"] == "no-cache"
    assert files.hashed("theme.css") != name


async def test_pictures_in_a_style_have_hashes_too(folder: Path) -> None:
    (folder / "page.css").write_text(
        "a { mask: url(leaf.svg#top) } b { mask: url('https://other.test/leaf.svg') }"
        """ c { mask: url("data:image/svg+xml,leaf.svg") } d { --font: '[{"src": "static/leaf.svg"}]' }"""
        " @import url(look/other.css); e { mask: url(gone.svg) }"
    )
    (folder / "look").mkdir()
    (folder / "look" / "other.css").write_text("a { mask: url(../leaf.svg) }")
    files = PageFiles(folder)
    leaf, page_css = files.hashed("leaf.svg"), files.hashed("page.css")

    async with client(files) as page:
        text = (await page.get(f"/static/{page_css}")).text
        other = (await page.get("/static/look/other.css")).text

    assert other == f"a {{ mask: url(../{leaf}) }}"
    assert text == (
        f"a {{ mask: url({leaf}#top) }} b {{ mask: url('https://other.test/leaf.svg') }}"
        """ c { mask: url("data:image/svg+xml,leaf.svg") }"""
        f""" d {{ --font: '[{{"src": "static/{leaf}"}}]' }}"""
        " @import url(look/other.css); e { mask: url(gone.svg) }"
    )
    (folder / "leaf.svg").write_text("<svg>another</svg>")
    assert PageFiles(folder).hashed("page.css") != page_css


@pytest.mark.parametrize("name", ["gone.css", "js", "../routes.py", "page.toml", ".secret"])
def test_what_is_no_static_file_keeps_its_name(folder: Path, name: str) -> None:
    assert PageFiles(folder).hashed(name) == name


@pytest.mark.parametrize("asked", ["gzip, deflate", "identity"])
async def test_texts_are_compressed(folder: Path, asked: str) -> None:
    async with client(PageFiles(folder)) as page:
        response = await page.get("/static/js/page.js", headers={"Accept-Encoding": asked})

    text = (ENGINE_FILES / "js" / "page.js").read_text("utf-8")
    assert response.text == text
    assert response.headers["vary"] == "Accept-Encoding"
    is_packed = response.headers.get("content-encoding") == "gzip"
    assert is_packed == asked.startswith("gzip")
    assert (int(response.headers["content-length"]) < len(text) / 2) == is_packed


def test_every_address_of_a_page_gets_a_hash(folder: Path) -> None:
    files = PageFiles(folder)
    theme, leaf, page = map(files.hashed, ("theme.css", "leaf.svg", "page.css"))

    html = files.with_hashes(
        '<link rel="stylesheet" href="static/theme.css"><link href=/help/static/page.css>'
        "<img src='../static/leaf.svg' srcset='static/leaf.svg 1x, static/leaf.svg 2x'>"
        '<img src="https://other.test/static/leaf.svg"><img src="//other.test/static/leaf.svg">'
        '<script src="static/js/main.js" type="module"></script><p>"static/leaf.svg"</p>'
    )

    assert html == (
        f'<link rel="stylesheet" href="static/{theme}"><link href=/help/static/{page}>'
        f"<img src='../static/{leaf}' srcset='static/{leaf} 1x, static/{leaf} 2x'>"
        '<img src="https://other.test/static/leaf.svg"><img src="//other.test/static/leaf.svg">'
        '<script src="static/js/main.js" type="module"></script><p>"static/leaf.svg"</p>'
    )


async def test_pages_are_changed_and_all_other_responses_pass(folder: Path) -> None:
    app = FastAPI()
    files = PageFiles(folder)
    app.add_middleware(HashedPages, files=files)
    text = 'é <img src="static/leaf.svg">'

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(text)

    @app.get("/stream/{kind}")
    async def stream(kind: str) -> StreamingResponse:
        return StreamingResponse(iter([text[:9], text[9:]]), media_type=f"text/{kind}")

    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://chat.test"
    ) as browser:
        pages = [await browser.get("/page"), await browser.get("/stream/html")]
        other = await browser.get("/stream/plain")

    hashed = text.replace("leaf.svg", files.hashed("leaf.svg"))
    assert [page.text for page in pages] == [hashed] * 2
    assert {page.headers["content-length"] for page in pages} == {str(len(hashed.encode()))}
    assert other.text == text


def test_in_development_everything_keeps_its_name(folder: Path) -> None:
    built(folder, {"js/main.js": (ENGINE_FILES / "js" / "main.js").read_text("utf-8")})
    files = PageFiles(folder, plain_modules=True)

    assert files.hashed("theme.css") == "theme.css"
    assert files.with_hashes('<a href="static/theme.css">') == '<a href="static/theme.css">'
    assert not files.has_bundles


# --- Bundles --------------------------------------------------------------------------------------

MAIN = '<script src="static/js/main.js" type="module">'


def built(folder: Path, modules: dict[str, str]) -> None:
    """A bundle, as esbuild leaves it, of these modules."""
    target = folder / BUILT / "js"
    target.mkdir(parents=True)
    (target / "main.js").write_text("/* all of it */")
    source_map = {
        "sources": [f"../../static/{name}" for name in modules],
        "sourcesContent": list(modules.values()),
    }
    (target / "main.js.map").write_text(json.dumps(source_map))


async def test_a_bundle_is_served_in_place_of_the_module(folder: Path) -> None:
    built(folder, {"js/main.js": (ENGINE_FILES / "js" / "main.js").read_text("utf-8")})
    files = PageFiles(folder)

    async with client(files) as page:
        response = await page.get(f"/static/{files.hashed('js/main.js')}")

    assert response.text == "/* all of it */"
    assert response.headers["cache-control"] == FOR_GOOD
    assert files.with_hashes(MAIN) == MAIN.replace("js/main.js", files.hashed("js/main.js"))


@pytest.mark.parametrize("changed", ["the engine's", "the owner's", "one that is gone"])
async def test_a_bundle_of_other_modules_is_not_used(
    folder: Path, changed: str, caplog: pytest.LogCaptureFixture
) -> None:
    main = (ENGINE_FILES / "js" / "main.js").read_text("utf-8")
    modules = {"js/main.js": main}
    match changed:
        case "the engine's":
            modules["js/page.js"] = "an older version"
        case "the owner's":
            (folder / "js").mkdir()
            (folder / "js" / "main.js").write_text("newer than the bundle")
        case _:
            modules["js/gone.js"] = ""
    built(folder, modules)

    with caplog.at_level(logging.WARNING):
        files = PageFiles(folder)

    assert not files.has_bundles
    assert files.with_hashes(MAIN) == MAIN
    assert "bundle is not used" in caplog.text


def test_nothing_is_said_where_there_is_no_bundle(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not PageFiles(folder).has_bundles
    assert caplog.text == ""


@pytest.fixture
def esbuild() -> str:
    """The one of setup or of the PATH."""
    found = find_installed(PROJECT_ROOT / ".data" / "esbuild") or find_esbuild()
    if found is None:
        pytest.skip("needs esbuild, which setup installs if npm is there")
    return found


async def test_the_bundle_is_one_file_with_all_modules(folder: Path, esbuild: str) -> None:
    (folder / "js").mkdir()
    (folder / "js" / "random.js").write_text("export const randomHex = () => 'of-the-owner';")

    files = bundle(folder, ENGINE_FILES, esbuild)

    main = next(file for file in files if file.parent.name == "js")
    text = main.read_text("utf-8")
    assert "of-the-owner" in text
    assert "import" not in text.replace("import(new URL", "")
    assert len(text) < sum(file.stat().st_size for file in (ENGINE_FILES / "js").glob("*.js")) / 2
    assert PageFiles(folder).has_bundles


def test_a_bundle_that_cannot_be_made_says_why(folder: Path, esbuild: str) -> None:
    (folder / "js").mkdir()
    (folder / "js" / "main.js").write_text("import './nowhere.js';")

    with pytest.raises(Exception, match="nowhere"):
        bundle(folder, ENGINE_FILES, esbuild)

    assert not (folder / BUILT).exists()


def test_the_oldest_browsers_are_the_same_everywhere() -> None:
    names = {"chrome": "Chrome", "edge": "Edge", "firefox": "Firefox", "safari": "Safari"}
    said = ", ".join(f"{names[name]} {version}" for name, version in BROWSERS.items())

    script = (ENGINE_FILES / "js" / "watch-script.js").read_text("utf-8")
    assert f'BROWSERS = "{said}"' in script
    assert said in (PROJECT_ROOT / "docs" / "embed.md").read_text("utf-8")


def test_modules_are_in_the_syntax_of_the_oldest_browsers(esbuild: str) -> None:
    """Compiled for those, they stay as they are compiled for the newest."""
    for file in sorted(ENGINE_FILES.rglob("*.js")):
        assert compiled(esbuild, file, TARGET) == compiled(esbuild, file, "esnext"), file.name


def test_the_script_that_explains_is_in_the_syntax_of_every_browser(esbuild: str) -> None:
    """esbuild refuses what it cannot compile for ES5, and changes what it can."""
    file = ENGINE_FILES / "js" / "watch-script.js"

    assert compiled(esbuild, file, "es5") == compiled(esbuild, file, "esnext")


def compiled(esbuild: str, file: Path, target: str) -> str:
    command = [esbuild, str(file), f"--target={target}", "--charset=utf8"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout
