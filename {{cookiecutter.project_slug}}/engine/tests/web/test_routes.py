import json
import re
import shutil
import tomllib
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from pydantic.alias_generators import to_camel

from engine.auth.base import Authenticator, User
from engine.database.database import Database
from engine.http.errors import Unauthenticated
from engine.page import routes
from engine.page.files import ENGINE_FILES, PageFiles
from engine.settings.settings import Settings
from engine.tests.application import PAGE_FOLDER, TOOLS
from engine.tests.fixtures import forget_translations
from engine.tests.talk import German
from engine.tools.toolset import Toolset

OFFICIAL_SCRIPT = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js"


NO_DATABASE = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")


class CookieAuth(Authenticator):
    """Believes its cookie. The real styles have their own tests."""

    name = "cookie"
    checks_origin = True

    async def authenticate(self, request: Request) -> User:
        if "user" not in request.cookies:
            raise Unauthenticated("No cookie.")
        return User(request.cookies["user"])

    def visit(self, request: Request, response: Response) -> None:
        if "user" not in request.cookies:
            response.set_cookie("user", "ada@example.com")

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return {"Cookie": f"user={user_id}"}


def make_settings(**values: object) -> Settings:
    defaults = {
        "openai_api_key": None,
        "models": ("a", "b"),
        "chatkit_domain_key": "local-dev",
        "chatkit_script_url": OFFICIAL_SCRIPT,
    }
    return Settings.model_validate({**defaults, **values})


def page_toml() -> dict[str, Any]:
    return tomllib.loads((PAGE_FOLDER / "page.toml").read_text("utf-8"))


def make_client(settings: Settings, folder: Path = PAGE_FOLDER) -> httpx2.AsyncClient:
    app = FastAPI()
    toolset = Toolset(TOOLS, settings)
    signing_in = CookieAuth(settings, NO_DATABASE)
    app.include_router(routes.routes(settings, toolset, signing_in, routes.OwnPage(folder, {})))
    app.include_router(routes.other_routes(settings, signing_in, folder))
    routes.mount_static(app, PageFiles(folder))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://chat.test")


@pytest.fixture
async def page() -> AsyncIterator[httpx2.AsyncClient]:
    async with make_client(make_settings()) as client:
        yield client


async def test_page_has_one_element_and_the_official_script(page: httpx2.AsyncClient) -> None:
    response = await page.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.text.count("<openai-chatkit>") == 1
    assert f'src="{OFFICIAL_SCRIPT}"' in response.text
    assert f'<link rel="preload" href="{OFFICIAL_SCRIPT}" as="script">' in response.text


async def test_another_script_url_is_served_instead() -> None:
    settings = make_settings(chatkit_script_url='https://mirror.test/chatkit.js?"&')
    async with make_client(settings) as page:
        html = (await page.get("/")).text
    assert 'src="https://mirror.test/chatkit.js?&quot;&amp;"' in html
    assert OFFICIAL_SCRIPT not in html


async def test_page_needs_no_inline_code(page: httpx2.AsyncClient) -> None:
    html = (await page.get("/")).text
    scripts = html.split("<script")[1:]
    assert all(script.split(">", 1)[1].startswith("</script>") for script in scripts)
    assert "<style" not in html
    assert " style=" not in html
    assert re.search(r"<[^>]+\son\w+=", html) is None


@pytest.mark.parametrize(
    "path",
    sorted(p.relative_to(ENGINE_FILES).as_posix() for p in ENGINE_FILES.rglob("*.js")),
)
async def test_modules_are_served_and_asked_for_again(page: httpx2.AsyncClient, path: str) -> None:
    response = await page.get(f"/static/{path}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": response.headers["etag"]}
    again = await page.get(f"/static/{path}", headers=known)
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("name", "shared"),
    [("inter.woff2", True), ("a.WOFF", True), ("a.ttf", True), ("a.otf", True), ("a.svg", False)],
)
async def test_fonts_are_for_everybody(tmp_path: Path, name: str, shared: bool) -> None:
    (tmp_path / name).write_bytes(b"a font")
    app = FastAPI()
    app.mount("/static", PageFiles(tmp_path))
    asking = {"Origin": "https://cdn.platform.openai.com"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://chat.test", headers=asking
    ) as frame:
        first = await frame.get(f"/static/{name}")
        again = await frame.get(f"/static/{name}", headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, again.status_code) == (200, 304)
    for response in (first, again):
        assert response.headers.get("access-control-allow-origin") == ("*" if shared else None)


@pytest.mark.parametrize(
    "path",
    [
        *("../routes.py", "..%2froutes.py", "../main.py", "..%2fmain.py", "%2fetc%2fpasswd"),
        *("page.toml", "index.html", "_header.html", "INDEX.HTML", "a.po"),
        *(".secret", ".git/config"),
    ],
)
async def test_only_static_files_are_served(tmp_path: Path, path: str) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    (tmp_path / "main.py").write_text("a module beside the folder")
    for name in (".secret", "a.po", "INDEX.HTML"):
        (folder / name).write_text("not for browsers")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("nor this")

    async with make_client(make_settings(), folder) as page:
        assert (await page.get(f"/static/{path}")).status_code == 404


async def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")

    async with make_client(make_settings(), folder) as page:
        assert (await page.get("/static/link.txt")).status_code == 404


async def test_the_owners_file_is_served_in_place_of_the_engines(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    (folder / "page.css").write_text("main { color: tomato }")
    (folder / "js" / "effects").mkdir(parents=True)
    (folder / "js" / "effects" / "blink.js").write_text("export default () => {};")

    async with make_client(make_settings(), folder) as page:
        style = await page.get("/static/page.css")
        known = {"If-None-Match": style.headers["etag"]}
        again = await page.get("/static/page.css", headers=known)
        own = await page.get("/static/js/effects/blink.js")
        engines = await page.get("/static/js/main.js")

    assert style.text == "main { color: tomato }"
    assert style.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert own.status_code == 200
    assert engines.text == (ENGINE_FILES / "js" / "main.js").read_text("utf-8")


async def test_a_second_page_has_the_same_header(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    shutil.copy(folder / "index.html", folder / "about.html")
    header = (folder / "_header.html").read_text("utf-8").format(name=page_toml()["name"])

    async with make_client(make_settings(), folder) as page:
        first, second = await page.get("/"), await page.get("/about")

        assert header.strip() in first.text
        assert second.text == first.text
        assert second.headers["cache-control"] == "no-cache"
        assert (await page.get("/_header")).status_code == 404
        assert (await page.get("/index")).status_code == 404

        (folder / "_header.html").write_text("<header>Another</header>")
        for path in ("/", "/about"):
            assert "<header>Another</header>" in (await page.get(path)).text


@pytest.mark.parametrize("missing", ["index.html", "_header.html"])
def test_what_the_page_lacks_is_said_at_the_start(tmp_path: Path, missing: str) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    (folder / missing).unlink()

    with pytest.raises(ValueError, match=f"page/{missing} is missing"):
        make_client(make_settings(), folder)


async def test_config_offers_what_the_backend_has(page: httpx2.AsyncClient) -> None:
    response = await page.get("/config.json")
    assert response.headers["cache-control"] == "no-store"
    config = response.json()
    assert config["tools"] == [
        {
            "id": t.id,
            "label": t.label,
            "icon": t.icon,
            "shortLabel": t.short_label or t.label,
            "placeholderOverride": t.placeholder,
            "pinned": t.pinned,
            "persistent": t.persistent,
        }
        for t in TOOLS
    ]
    assert config["clientTools"] == [name for tool in TOOLS for name in tool.client_tools]
    assert config["effects"] == [name for tool in TOOLS for name in tool.effects]
    assert config["models"] == [
        {"id": "a", "label": "a", "default": True},
        {"id": "b", "label": "b", "default": False},
    ]
    assert config["api"] == {"url": "chatkit", "domainKey": "local-dev"}
    assert config["scriptUrl"] == OFFICIAL_SCRIPT
    assert config["auth"] == "cookie"


async def test_config_says_what_page_toml_says(page: httpx2.AsyncClient) -> None:
    texts = page_toml()
    config = (await page.get("/config.json")).json()
    for name in ("title", "greeting", "placeholder", "disclaimer"):
        assert config[name] == texts[name].format(title=texts["title"])
    switches = {to_camel(name): shown for name, shown in texts["element"].items()}
    assert config["element"] == switches
    own = [{"label": t.label, "prompt": t.prompt, "icon": t.icon} for t in TOOLS]
    assert config["prompts"] == texts["prompts"] + own


async def test_config_is_in_the_language_that_is_asked_for(
    page: httpx2.AsyncClient, german: German
) -> None:
    texts = page_toml()
    first = texts["prompts"][0]
    german({texts["placeholder"]: "Nachricht an {title}", first["label"]: "Was kannst du?"})

    header = {"Accept-Language": "xx, de-AT;q=0.8, en;q=0.1"}
    config = (await page.get("/config.json", headers=header)).json()

    assert config["placeholder"] == f"Nachricht an {texts['title']}"
    assert config["prompts"][0] == first | {"label": "Was kannst du?"}
    # What has no translation is as page.toml says it.
    assert config["greeting"] == texts["greeting"]


@pytest.mark.parametrize("text", ["Hello {you}", "An open {", "{0}"])
def test_only_the_title_can_stand_in_braces(text: str) -> None:
    with pytest.raises(ValueError, match="braces are for"):
        routes.PageTexts.model_validate(page_toml() | {"greeting": text})


async def test_the_page_gets_its_own_texts_and_those_of_its_modules(
    german: German, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    german({"Try again": "Noch einmal"})
    monkeypatch.setattr(routes, "LOCALES", tmp_path / "locales")
    own = tmp_path / "page" / "locales" / "de.po"
    shutil.copytree(PAGE_FOLDER, tmp_path / "page")
    own.parent.mkdir()
    own.write_text('msgid "My button"\nmsgstr "Mein Knopf"\n', encoding="utf-8")
    forget_translations()

    texts = {"Try again": "Noch einmal", "My button": "Mein Knopf"}
    for header, words in [
        ("de-AT", {"language": "de", "direction": "ltr", "texts": texts}),
        ("pt, *", {"language": "en", "direction": "ltr", "texts": {}}),
    ]:
        async with make_client(make_settings(), tmp_path / "page") as page:
            response = await page.get("/texts.json", headers={"Accept-Language": header})
        assert response.json() == words
        assert response.headers["vary"] == "Accept-Language"
        assert response.headers["cache-control"] == "no-cache"


async def test_without_scripts_the_page_says_so_in_the_visitors_language(
    page: httpx2.AsyncClient, german: German
) -> None:
    german({routes.NEEDS_SCRIPTS: "Dieser Chat braucht <JavaScript>."})

    response = await page.get("/", headers={"Accept-Language": "de"})

    assert '<p lang="de" dir="ltr">Dieser Chat braucht &lt;JavaScript&gt;.</p>' in response.text
    assert response.headers["vary"] == "Accept-Language"
    assert f'<p lang="en" dir="ltr">{routes.NEEDS_SCRIPTS}</p>' in (await page.get("/")).text


async def test_one_model_leaves_nothing_to_pick() -> None:
    async with make_client(make_settings(models=("only",))) as page:
        assert (await page.get("/config.json")).json()["models"] == []


@pytest.mark.parametrize(("key", "demo"), [(None, True), ("sk-test", False)])
async def test_page_knows_whether_it_is_a_demo(key: str | None, demo: bool) -> None:
    async with make_client(make_settings(openai_api_key=key)) as page:
        assert (await page.get("/config.json")).json()["demo"] is demo


async def test_user_is_known_from_the_second_request_and_never_by_name(
    page: httpx2.AsyncClient,
) -> None:
    assert (await page.get("/config.json")).json()["user"] is None
    second = (await page.get("/config.json")).text
    user = (await page.get("/config.json")).json()["user"]
    assert len(user) == 16
    assert user in second
    assert "ada" not in second


async def test_the_page_makes_a_user_whom_its_configuration_knows(page: httpx2.AsyncClient) -> None:
    await page.get("/")

    assert (await page.get("/config.json")).json()["user"] is not None


@pytest.mark.parametrize(
    ("root", "address"),
    [
        ('<html lang="en" data-locale="auto"', "config.json"),
        ('<html lang="de"', "config.json?locale=de"),
        ("<html", "config.json?locale=en"),
    ],
)
async def test_a_page_preloads_its_configuration_in_its_language(
    tmp_path: Path, root: str, address: str
) -> None:
    folder = Path(shutil.copytree(PAGE_FOLDER, tmp_path / "page"))
    html = (folder / "index.html").read_text("utf-8")
    (folder / "index.html").write_text(re.sub(r"<html[^>]*", root, html, count=1))
    (folder / "terms.html").write_text("<html><head></head><body>No chat here.</body></html>")

    async with make_client(make_settings(), folder) as page:
        own, other = (await page.get("/")).text, (await page.get("/terms")).text

    preload = f'<link rel="preload" href="{address}" as="fetch" crossorigin>'
    assert re.findall(r'<link rel="preload".*"fetch".*>', own) == [preload]
    assert "preload" not in other


async def test_a_page_whose_requests_carry_a_token_preloads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CookieAuth, "checks_origin", False)
    async with make_client(make_settings()) as page:
        assert 'as="fetch"' not in (await page.get("/")).text


async def test_the_address_of_the_configuration_may_name_its_language(
    page: httpx2.AsyncClient, german: German
) -> None:
    german({page_toml()["greeting"]: "Hallo"})

    config = await page.get("/config.json?locale=de-AT", headers={"Accept-Language": "en"})

    assert config.json()["greeting"] == "Hallo"


async def test_what_is_said_without_any_module_is_in_the_visitors_language(
    page: httpx2.AsyncClient, german: German, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    german({"Try again": "Noch <einmal>", "You are not signed in": "Nicht angemeldet"})
    monkeypatch.setattr(routes, "LOCALES", tmp_path / "locales")

    english = (await page.get("/", headers={"Accept-Language": "en"})).text
    other = (await page.get("/", headers={"Accept-Language": "de"})).text

    assert f"{routes.WATCHER}></script>" in english
    [texts] = re.findall(rf'{routes.WATCHER} data-texts="(.*?)"></script>', other)
    assert json.loads(unescape(texts)) == {"Try again": "Noch <einmal>"}


def test_the_texts_without_modules_are_those_of_their_script() -> None:
    script = (ENGINE_FILES / "js" / "watch-script.js").read_text("utf-8")

    assert set(routes.STARTING) == set(re.findall(r'say\("([^"]+)"', script))


async def test_two_users_have_two_keys() -> None:
    keys = set()
    for user in ("ada", "bob"):
        async with make_client(make_settings()) as page:
            response = await page.get("/config.json", headers={"Cookie": f"user={user}"})
            keys.add(response.json()["user"])
    assert len(keys) == 2
