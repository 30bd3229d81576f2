"""`make screenshots`: takes the README's pictures again, with a generated project.

If a picture shows the stand-in, its caption in the README must say so.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from chromium import Visitor, launched, website
from conftest import (
    REPO,
    BakedProject,
    copy_template,
    generate,
    generate_with_our_environment,
)
from launching import ShopPage, shop
from playwright.sync_api import Browser, expect
from serving import START, Application

PICTURES = REPO / "docs" / "pictures"
REMEMBER = "Remember that our launch is on Friday"


def page(visitor: Visitor) -> None:
    chat = visitor.tab().open().say(REMEMBER)
    expect(chat.answers).to_have_count(1)


def blocked(visitor: Visitor) -> None:
    visitor.cdn.script = None
    chat = visitor.tab()
    chat.page.goto("/")
    expect(chat.problem).to_be_visible()


def not_ready(visitor: Visitor, port: int) -> None:
    """At a host other than localhost, which needs a domain key."""
    visitor.cdn.frame = "<!doctype html>"
    chat = visitor.tab()
    chat.page.clock.install()
    chat.page.goto(f"http://chat.localhost:{port}")
    expect(chat.page.locator("body[data-chat=loaded]")).to_be_attached()
    chat.page.clock.fast_forward(11_000)
    chat.problem.get_by_text("For whoever runs this site").click()


def sign_in(visitor: Visitor) -> None:
    visitor.tab().page.goto("/sign-in")


def refused(visitor: Visitor) -> None:
    page = visitor.tab().page
    page.goto("/sign-up")
    page.get_by_label("E-mail or user name").fill("ada@example.com")
    page.get_by_label("Password").fill("12345678")
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("alert")).to_be_visible()


def launchers(browser: Browser, server: Application, site: str) -> None:
    """The launcher on another site: closed, open, and open in dark mode."""

    def closed(visitor: Visitor) -> None:
        expect(ShopPage.of(visitor, site, server).goto().button).to_be_visible()

    def opened(visitor: Visitor) -> None:
        ShopPage.of(visitor, site, server).goto().open().say(REMEMBER)

    take("launcher-closed", closed, browser, server)
    take("launcher-open", opened, browser, server)
    take("launcher-open-dark", opened, browser, server, dark=True)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        launched() as browser,
        website(shop) as port,
    ):
        site = f"http://shop.localhost:{port}"
        copy_template(Path(folder) / "template")
        project = generate(
            Path(folder) / "template", Path(folder) / "made", "launcher=yes", CHATKIT_SETUP="strict"
        )
        try:
            url = project.run("python", "-c", START).splitlines()[-1]
            settings = {"DATABASE_URL": url, "ALLOWED_ORIGINS": site}
            server = Application(project, settings, Path(folder))
            server.start()
            take("page", page, browser, server)
            take("page-dark", page, browser, server, dark=True)
            take("script-blocked", blocked, browser, server)
            take(
                "frame-not-ready-dark",
                lambda visitor: not_ready(visitor, server.port),
                browser,
                server,
                dark=True,
            )
            launchers(browser, server, site)
            server.stop()
            take_accounts(Path(folder), url, browser)
        finally:
            project.run("python", "-m", "app", "db", "stop")


def take_accounts(folder: Path, url: str, browser: Browser) -> None:
    project = generate_with_our_environment(
        folder / "template", folder / "accounts", auth_style="password", table_prefix="accounts_"
    )
    key = "of one picture, and thirty-two long"
    environment = {"DATABASE_URL": url, "SECRET_KEY": key, "SIGN_UP": "open"}
    BakedProject(project.path, environment=environment).run("python", "-m", "app", "migrate")
    server = Application(project, environment, folder)
    server.start()
    take("sign-in", sign_in, browser, server)
    take("sign-up-dark", refused, browser, server, dark=True)
    server.stop()


def take(
    name: str,
    arrange: Callable[[Visitor], None],
    browser: Browser,
    server: Application,
    *,
    dark: bool = False,
) -> None:
    context = browser.new_context(
        base_url=server.url,
        locale="en-US",
        viewport={"width": 1100, "height": 720},
        color_scheme="dark" if dark else "light",
    )
    visitor = Visitor(context)
    arrange(visitor)
    visitor.tabs[0].page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
    context.close()


if __name__ == "__main__":
    main()
