"""A shop's site with the launcher, and projects with its chats."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from chromium import ChatPage, Visitor
from conftest import BakedProject, generate_with_our_environment
from playwright.sync_api import Frame, FrameLocator, Locator, expect
from serving import BUNDLE, START, Application

# The site's policy allows only what docs/embed.md requires, and its styles test the isolation.
SHOP = """<!doctype html>
<html lang="{lang}">
  <head>
    <title>A shop</title>
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
      script-src 'unsafe-inline' {chat}; frame-src {chat}">
    <style>
      :root {{ color-scheme: {scheme}; }}
      body {{ margin: 0; font: 17px/1.5 Georgia, serif; background: {ground}; color: {ink}; }}
      header {{ padding: 20px 40px; border-bottom: 1px solid #8886; }}
      main {{ padding: 20px 40px; max-width: 40em; }}
      main button {{ font: inherit; padding: 8px 18px; }}
      {styles}
    </style>
    <script>{script}</script>
    {tags}
  </head>
  <body>
    <header><strong>Bramble &amp; Sons</strong></header>
    <main>
      <h1>Garden chairs</h1>
      <p>Made of oak that grew slowly. They outlive two gardens, as a rule.</p>
      <button type="button" onclick="window.chatLauncher?.open()">Ask us</button>
    </main>
  </body>
</html>
"""
HOSTILE = """
* { margin: 7px; letter-spacing: 3px; }
button, iframe, dialog, section, p, svg { display: inline !important; background: tomato !important; }
chat-launcher { display: none; filter: invert(1); color: tomato; }
"""


def shop(path: str) -> str:
    """The page at `/?port=…`; `lang`, `scheme`, `styles`, `script` and `times` change it."""
    asked = {
        "port": "0",
        "lang": "en",
        "scheme": "light dark",
        "styles": "",
        "script": "",
        "times": "1",
        "attributes": "",
    } | dict(parse_qsl(urlsplit(path).query))
    chat = f"http://127.0.0.1:{asked['port']}"
    tag = f'<script src="{chat}/embed.js" defer {asked["attributes"]}></script>'
    return SHOP.format(
        chat=chat,
        tags=tag * int(asked["times"]),
        lang=escape(asked["lang"]),
        scheme=asked["scheme"],
        ground="light-dark(#fdfcf8, #1b1d1a)",
        ink="light-dark(#23261f, #e9eae3)",
        styles=asked["styles"],
        script=asked["script"],
    )


def shop_headers(path: str) -> dict[str, str]:
    """The page at `/?policy=…` has that Cross-Origin-Embedder-Policy."""
    asked = dict(parse_qsl(urlsplit(path).query))
    return {"Cross-Origin-Embedder-Policy": asked["policy"]} if "policy" in asked else {}


class Projects:
    """Projects that run in the environment of these tests and share one PostgreSQL."""

    def __init__(self, template: Path, folder: Path, origins: str) -> None:
        self._template = template
        self._folder = folder
        self._origins = origins
        self._first: BakedProject | None = None
        self._database = ""
        self._servers: list[Application] = []

    def serve(
        self,
        auth_style: str,
        agent_tools: str = "notes",
        *,
        is_bundled: bool = False,
        **settings: str,
    ) -> Application:
        folder = self._folder / auth_style
        answers = {
            "auth_style": auth_style,
            "launcher": "yes",
            "agent_tools": agent_tools,
            "table_prefix": f"{auth_style}_",
            "languages": "de",
        }
        project = generate_with_our_environment(self._template, folder, **answers)
        if is_bundled:
            project.run("python", "-c", BUNDLE)
        if self._first is None:
            self._first = project
            self._database = project.run("python", "-c", START).splitlines()[-1]
        environment = {
            "DATABASE_URL": self._database,
            "ALLOWED_ORIGINS": self._origins,
            "SECRET_KEY": "a key for tests, and for nothing else",
            "DEMO_DELAY_SECONDS": "0.006",
            "SIGN_UP": "open",
        } | settings
        BakedProject(project.path, environment=environment).run("alembic", "upgrade", "heads")
        self._servers.append(Application(project, environment, folder))
        self._servers[-1].start()
        return self._servers[-1]

    def close(self) -> None:
        for server in self._servers:
            server.stop()
        if self._first is not None:
            self._first.run("python", "-m", "app", "db", "stop")


@dataclass
class ShopPage:
    """One tab on the shop's site, with the launcher."""

    tab: ChatPage
    url: str
    port: int

    @classmethod
    def of(cls, visitor: Visitor, url: str, application: Application) -> "ShopPage":
        return cls(visitor.tab(), url, application.port)

    def goto(self, **query: str) -> "ShopPage":
        self.tab.page.goto(f"{self.url}/?{urlencode({'port': self.port} | query)}")
        expect(self.host).to_be_attached()
        return self

    @property
    def host(self) -> Locator:
        return self.tab.page.locator("chat-launcher")

    @property
    def button(self) -> Locator:
        return self.host.get_by_role("button", name="Chat", exact=True)

    @property
    def panel(self) -> Locator:
        return self.host.get_by_role("dialog", name="Assistant")

    @property
    def iframe(self) -> Locator:
        return self.host.locator("iframe")

    @property
    def inside(self) -> FrameLocator:
        return self.tab.page.frame_locator("chat-launcher iframe")

    @property
    def frame(self) -> Frame:
        [frame] = [f for f in self.tab.page.frames if "/embed?" in f.url]
        return frame

    @property
    def composer(self) -> Locator:
        return self.inside.get_by_label("Message", exact=True)

    @property
    def messages(self) -> Locator:
        return self.inside.locator("[data-type=user_message]")

    @property
    def answers(self) -> Locator:
        return self.inside.locator("[data-type=assistant_message]")

    def open(self) -> "ShopPage":
        self.button.click()
        return self.when_ready()

    def when_ready(self) -> "ShopPage":
        expect(self.inside.locator("body[data-chat=ready]")).to_be_attached()
        return self

    def say(self, text: str) -> "ShopPage":
        before = self.answers.count()
        self.composer.fill(text)
        self.inside.get_by_role("button", name="Send", exact=True).click()
        expect(self.answers).to_have_count(before + 1)
        expect(self.inside.get_by_role("button", name="Send", exact=True)).to_be_enabled()
        return self
