"""The chat on pages of other sites: the launcher's script and the page in its frame."""

import re
from html import escape
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from engine.chat import Chat
from engine.launcher.headers import FRAME_PATH, SCRIPT_PATH, FrameHeaders
from engine.page.files import ENGINE_FILES, Content, read_page
from engine.page.routes import MODULE, Frozen, page_html, page_response, page_texts
from engine.text.locales import languages, translate

FOLDER = ENGINE_FILES / "launcher"
SCRIPT = FOLDER / "embed.js"
# Nothing is asked for again on the next pages of a visit.
SCRIPT_CACHE = "public, max-age=600, stale-while-revalidate=86400"
CONFIG_PLACE = '"LAUNCHER_CONFIG"'
MODULE_IN_FRAME = 'src="static/launcher/frame/main.js"'
STYLES = '<link rel="stylesheet" href="static/launcher/embedded.css">'


class Words(Frozen):
    """The labels of the launcher's buttons, and its texts while the chat does not open."""

    chat: str
    close: str
    problem: str
    advice: str
    retry: str
    elsewhere: str


class LauncherConfig(Frozen):
    """The configuration inside `/embed.js`, the same as `LauncherConfig` in its `types.d.ts`.

    It is part of the script, so that the site's Content-Security-Policy needs no `connect-src`.
    `origins` may show the chat; `client_tools` names the modules of client tools; `module` is the
    launcher's file in `static`.
    """

    origins: tuple[str, ...]
    title: str
    color_scheme: str
    words: dict[str, Words]
    client_tools: tuple[str, ...]
    module: str
    styles: str


def launcher(chat: Chat, app: FastAPI) -> APIRouter:
    """For `Chat(..., extensions=[launcher])`."""
    settings = chat.settings
    pages = chat.authenticator.pages
    app.add_middleware(
        FrameHeaders, origins=settings.allowed_origins, windows=pages.windows if pages else ()
    )
    router = APIRouter(include_in_schema=False)

    @router.get(SCRIPT_PATH)
    def script(request: Request) -> Response:
        config = launcher_config(chat).model_dump_json(by_alias=True)
        script = SCRIPT.read_text(encoding="utf-8").replace(CONFIG_PLACE, config)
        response = Content.text(script.encode()).response("text/javascript", request.headers)
        response.headers["Cache-Control"] = SCRIPT_CACHE
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    @router.get(FRAME_PATH)
    def embedded_page(request: Request) -> HTMLResponse:
        """The page without its header; its module communicates with the launcher."""
        origins = escape(" ".join(settings.allowed_origins))
        html = page_html(settings, request, chat.page)
        html = html.replace("<html ", f'<html data-embedded data-origins="{origins}" ', 1)
        html = html.replace(MODULE, MODULE_IN_FRAME, 1)
        html = html.replace("</head>", f"  {STYLES}\n  </head>", 1)
        response = page_response(html)
        chat.authenticator.visit(request, response)
        return response

    return router


def launcher_config(chat: Chat) -> LauncherConfig:
    files = (chat.page / "theme.css", FOLDER / "launcher.css")
    return LauncherConfig(
        origins=chat.settings.allowed_origins,
        title=page_texts(chat.page).title,
        color_scheme=color_scheme(chat.page),
        words={language: words(language) for language in languages()},
        client_tools=tuple(
            name for tool in chat.parts.toolset.usable() for name in tool.client_tools
        ),
        module=chat.files.hashed("launcher/main.js"),
        styles="\n".join(file.read_text(encoding="utf-8") for file in files),
    )


def words(language: str) -> Words:
    return Words(
        chat=translate("Chat", language),
        close=translate("Close", language),
        problem=translate("The chat did not open", language),
        advice=translate(
            "Its server may not answer, or this page may not be allowed to show it.", language
        ),
        retry=translate("Try again", language),
        elsewhere=translate("Open it in a window of its own", language),
    )


def color_scheme(folder: Path) -> str:
    """The page's own `data-color-scheme`."""
    found = re.search(r'data-color-scheme="(auto|light|dark)"', read_page(folder))
    return found[1] if found else "auto"
