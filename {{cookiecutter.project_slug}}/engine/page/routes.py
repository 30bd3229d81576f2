"""Serves the page, its configuration, and its static files."""

import json
import re
import tomllib
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from chatkit.icons import IconName
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel

from engine.auth.base import Authenticator, SignInPages, User, user_key
from engine.http.errors import Unauthenticated
from engine.options import PageOptions
from engine.page.files import INDEX, STATIC_PATH, PageFiles, other_pages, read_page
from engine.settings.providers import without_provider
from engine.settings.settings import Settings
from engine.text.locales import (
    Direction,
    Translatable,
    direction_of,
    language_of,
    texts_in,
    translate,
)
from engine.tools.tool import AgentTool
from engine.tools.toolset import Toolset

CHATKIT_PATH = "/chatkit"
CONFIG = "config.json"
# The page's own module, and the script that says why it does not run.
MODULE = 'src="static/js/main.js"'
WATCHER = 'src="static/js/watch-script.js"'
# Of the page's modules.
LOCALES = Path(__file__).with_name("locales")
# The texts of watch-script.js, which cannot wait for /texts.json.
STARTING = (
    "For whoever runs this site",
    "Its program arrived but did not run. A newer browser may help.",
    "It runs in {browsers} and newer ones.",
    "The browser could not load {script}.",
    "The chat could not be loaded",
    "The chat could not start",
    "Try again",
    "You may be offline, or a content blocker or firewall may be in the way.",
)
NEEDS_SCRIPTS = "This chat needs JavaScript. Please allow it for this site."
OFFICIAL_SCRIPT_URL: str = Settings.model_fields["chatkit_script_url"].default

_ROOT = re.compile(r"<html\b[^>]*>")
_LANGUAGE = re.compile(r"""\slang=["']?([\w-]+)""")


class Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )


class Prompt(Frozen):
    label: str
    prompt: str
    icon: IconName


class Texts(Frozen):
    greeting: str
    placeholder: str
    disclaimer: str
    prompts: tuple[Prompt, ...]


class Element(Frozen):
    """The parts of the ChatKit element that are shown."""

    header: bool
    title: bool
    history: bool
    rename: bool
    delete: bool
    feedback: bool
    retry: bool
    auto_scroll: bool
    disclaimer_in_high_contrast: bool


class PageTexts(Texts):
    """The content of `page.toml`. `{title}` stands for the title in the three texts."""

    name: str
    title: str
    element: Element

    @field_validator("greeting", "placeholder", "disclaimer")
    @classmethod
    def _is_a_template(cls, text: str) -> str:
        try:
            text.format(title="")
        except (ValueError, LookupError):
            raise ValueError("braces are for {title} alone; double any others") from None
        return text

    def in_language(self, language: str) -> Texts:
        def say(text: str) -> str:
            return translate(Translatable(text, title=self.title), language)

        return Texts(
            greeting=say(self.greeting),
            placeholder=say(self.placeholder),
            disclaimer=say(self.disclaimer),
            prompts=tuple(translated(prompt, language) for prompt in self.prompts),
        )


class PageWords(Frozen):
    """The response of `/texts.json`, the same as `PageWords` in `types.d.ts`."""

    language: str
    direction: Direction
    texts: dict[str, str]


class ToolChoice(Frozen):
    id: str
    label: str
    icon: IconName
    short_label: str
    placeholder_override: str
    pinned: bool
    persistent: bool


class ModelChoice(Frozen):
    id: str
    label: str
    default: bool


class Api(Frozen):
    url: str
    domain_key: str


class Account(Frozen):
    """The signed-in user, if the auth style has sign-in pages; see `SignInPages`."""

    name: str
    manage: str | None
    sign_out: str
    form_token: str


class PageConfig(Texts):
    """The response of `/config.json`, the same as `PageConfig` in `types.d.ts`.

    `models` is empty if there is only one. `user` is a hash of the user's id, used as a key of the
    browser's storage; it is null without a user. In that case `sign_in` is the address of the
    sign-in page, if there is one. `client_tools` and `effects` name modules that the page loads from
    folders of these names. `extras` are added to the options of the element, by section.
    """

    title: str
    element: Element
    tools: tuple[ToolChoice, ...]
    client_tools: tuple[str, ...]
    effects: tuple[str, ...]
    models: tuple[ModelChoice, ...]
    api: Api
    extras: PageOptions
    script_url: str
    auth: str
    user: str | None
    account: Account | None
    sign_in: str | None
    demo: bool


class OwnPage(NamedTuple):
    """The owner's folder, and what the chosen options add to the page's settings."""

    folder: Path
    extras: PageOptions


def mount_static(app: FastAPI, files: PageFiles) -> None:
    app.mount(STATIC_PATH, files, name="static")


def routes(
    settings: Settings,
    toolset: Toolset,
    authenticator: Authenticator,
    own: OwnPage,
) -> APIRouter:
    """The page in the owner's `folder`, and its settings. Raises ValueError when either is unusable."""
    folder, extras = own
    router = APIRouter(include_in_schema=False)
    _add_page(router, settings, authenticator, folder / INDEX)
    said = page_texts(folder)

    @router.get("/texts.json")
    def page_words(request: Request, response: Response) -> PageWords:
        """Translations of the modules' texts and of the page's own; none if it is in English."""
        response.headers.update({"Cache-Control": "no-cache", "Vary": "Accept-Language"})
        language = language_of(request.headers.get("accept-language", ""))
        texts = texts_in(LOCALES, language) | texts_in(folder / "locales", language)
        return PageWords(language=language, direction=direction_of(language), texts=texts)

    @router.get(f"/{CONFIG}")
    async def page_config(
        request: Request, response: Response, locale: str | None = None
    ) -> PageConfig:
        """In the language of a page that says its own, otherwise in the browser's."""
        authenticator.visit(request, response)
        response.headers["Cache-Control"] = "no-store"
        user = await known_user(authenticator, request)
        pages = authenticator.pages
        language = language_of(locale or request.headers.get("accept-language", ""))
        texts = said.in_language(language)
        tools = toolset.usable()
        return PageConfig(
            title=said.title,
            element=said.element,
            greeting=texts.greeting,
            placeholder=texts.placeholder,
            disclaimer=texts.disclaimer,
            prompts=texts.prompts + tool_prompts(tools, language),
            tools=tool_choices(tools, language),
            client_tools=tuple(name for tool in tools for name in tool.client_tools),
            effects=tuple(name for tool in tools for name in tool.effects),
            models=model_choices(settings.offered_models),
            api=Api(url=relative(CHATKIT_PATH), domain_key=settings.chatkit_domain_key),
            extras=extras,
            script_url=settings.chatkit_script_url,
            auth=authenticator.name,
            user=user_key(user) if user else None,
            account=account_of(user, pages, request) if user and pages else None,
            sign_in=relative(pages.sign_in) if pages else None,
            demo=settings.is_demo,
        )

    return router


def other_routes(settings: Settings, authenticator: Authenticator, folder: Path) -> APIRouter:
    """The owner's other pages: `about.html` at `/about`. To be included after all other routes."""
    router = APIRouter(include_in_schema=False)
    for name in other_pages(folder):
        _add_page(router, settings, authenticator, folder / name)
    return router


def _add_page(
    router: APIRouter, settings: Settings, authenticator: Authenticator, file: Path
) -> None:
    read_page(file.parent, file.name)  # what is missing is said at the start

    @router.get("/" if file.name == INDEX else f"/{file.stem}")
    def page(request: Request) -> HTMLResponse:
        html = page_html(settings, request, file.parent, file.name)
        if authenticator.checks_origin:  # a preload has no token
            html = with_config(html)
        response = page_response(html)
        authenticator.visit(request, response)  # before the page's requests, which then have a user
        return response


def page_html(settings: Settings, request: Request, folder: Path, name: str = INDEX) -> str:
    """The page with the application's name, and its texts for browsers in which no module runs."""
    language = language_of(request.headers.get("accept-language", ""))
    said = escape(translate(NEEDS_SCRIPTS, language))
    needs_scripts = f'<p lang="{language}" dir="{direction_of(language)}">{said}</p>'
    html = read_page(folder, name)
    if OFFICIAL_SCRIPT_URL in html:
        # Browsers put off an `async` script until they have the styles.
        html = _with_preload(html, f'href="{OFFICIAL_SCRIPT_URL}" as="script"')
    return (
        html.replace(OFFICIAL_SCRIPT_URL, escape(settings.chatkit_script_url))
        .replace("{name}", escape(page_texts(folder).name))
        .replace(f'<p lang="en">{NEEDS_SCRIPTS}</p>', needs_scripts)
        .replace(WATCHER, f"{WATCHER}{_texts_of_watcher(language)}", 1)
    )


def _texts_of_watcher(language: str) -> str:
    """An attribute with translations, none for English."""
    all_texts = texts_in(LOCALES, language)
    texts = {text: all_texts[text] for text in STARTING if text in all_texts}
    return f' data-texts="{escape(json.dumps(texts, ensure_ascii=False))}"' if texts else ""


def with_config(html: str) -> str:
    """The page with a preload of its configuration, at the address that page.js asks for."""
    root = _ROOT.search(html)
    if root is None or MODULE not in html:
        return html
    language = _LANGUAGE.search(root[0])
    is_auto = 'data-locale="auto"' in root[0]
    asked = "" if is_auto else f"?locale={language[1] if language else 'en'}"
    return _with_preload(html, f'href="{CONFIG}{asked}" as="fetch" crossorigin')


def _with_preload(html: str, attributes: str) -> str:
    return html.replace("</head>", f'  <link rel="preload" {attributes}>\n  </head>', 1)


def page_response(html: str) -> HTMLResponse:
    return HTMLResponse(html, headers={"Cache-Control": "no-cache", "Vary": "Accept-Language"})


def relative(path: str) -> str:
    """The path relative to the page, which works under any prefix."""
    return path.removeprefix("/")


@cache
def page_texts(folder: Path) -> PageTexts:
    return PageTexts.model_validate(tomllib.loads((folder / "page.toml").read_text("utf-8")))


def translated(prompt: Prompt, language: str) -> Prompt:
    label, words = translate(prompt.label, language), translate(prompt.prompt, language)
    return Prompt(label=label, prompt=words, icon=prompt.icon)


def tool_prompts(tools: tuple[AgentTool, ...], language: str) -> tuple[Prompt, ...]:
    prompts = (Prompt(label=tool.label, prompt=tool.prompt, icon=tool.icon) for tool in tools)
    return tuple(translated(prompt, language) for prompt in prompts)


def tool_choices(tools: tuple[AgentTool, ...], language: str) -> tuple[ToolChoice, ...]:
    return tuple(
        ToolChoice(
            id=tool.id,
            label=translate(tool.label, language),
            icon=tool.icon,
            short_label=translate(tool.short_label or tool.label, language),
            placeholder_override=translate(tool.placeholder, language),
            pinned=tool.pinned,
            persistent=tool.persistent,
        )
        for tool in tools
    )


def model_choices(offered: tuple[str, ...]) -> tuple[ModelChoice, ...]:
    if len(offered) == 1:
        return ()
    return tuple(
        ModelChoice(id=m, label=without_provider(m), default=m == offered[0]) for m in offered
    )


def merged(*options: PageOptions) -> PageOptions:
    """The options merged, section by section."""
    sections = {name for option in options for name in option}
    return {
        name: {key: value for option in options for key, value in option.get(name, {}).items()}
        for name in sorted(sections)
    }


async def known_user(authenticator: Authenticator, request: Request) -> User | None:
    try:
        return await authenticator.authenticate(request)
    except Unauthenticated:
        return None


def account_of(user: User, pages: SignInPages, request: Request) -> Account:
    return Account(
        name=user.name or "",
        manage=relative(pages.account) if pages.account else None,
        sign_out=relative(pages.sign_out),
        form_token=pages.form_token(request),
    )
