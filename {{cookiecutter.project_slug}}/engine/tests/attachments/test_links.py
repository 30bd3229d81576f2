"""Signed links that show pictures in a frame without cookies, and expire."""

import hashlib
from typing import Any

import httpx2
import pytest
from itsdangerous import URLSafeSerializer
from sqlalchemy import delete

from engine.attachments.files import key_of
from engine.context.request_context import RequestContext
from engine.database.database import TABLE_PREFIX, Database
from engine.database.tables import metadata
from engine.http.access_log import loggable_path
from engine.settings.settings import Settings
from engine.tests.attachments.fixtures import (
    Application,
    Attaching,
    Clock,
    attach,
    say_with,
    send,
)
from engine.tests.attachments.samples import HTML, PNG, TEXT

# The table of sessions, if the auth style has one.
SESSIONS = metadata().tables.get(f"{TABLE_PREFIX}sessions")


async def fetch(url: str) -> httpx2.Response:
    """Request like an <img> of another site: without cookie and header."""
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        return await browser.get(url)


async def picture(application: Application) -> tuple[str, dict[str, Any]]:
    """The id of a thread with a picture, and the uploaded picture."""
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")
    turn = await say_with(application.visitor, attachment["id"])
    return turn.thread_id, attachment


async def preview(application: Application, thread_id: str) -> str:
    [message, *_] = await application.visitor.items(thread_id)
    return str(message["attachments"][0]["preview_url"])


async def test_a_picture_has_a_link_before_and_after_sending(application: Application) -> None:
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")
    assert (await fetch(attachment["preview_url"])).content == PNG

    turn = await say_with(application.visitor, attachment["id"])

    [message] = turn.done("user_message")
    for url in (
        message["attachments"][0]["preview_url"],
        await preview(application, turn.thread_id),
    ):
        assert loggable_path(url).endswith("/attachments/…")
        shown = await fetch(url)
        assert (shown.status_code, shown.content) == (200, PNG)
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["content-disposition"].startswith("inline")


async def test_a_link_stays_the_same_for_some_time(
    attaching: Attaching, links_clock: Clock
) -> None:
    application = await attaching(attachment_link_seconds="60")
    thread_id, _ = await picture(application)
    links_clock.now -= links_clock.now % 60
    link = await preview(application, thread_id)

    links_clock.now += 59
    assert await preview(application, thread_id) == link

    links_clock.now += 1
    assert await preview(application, thread_id) != link


async def test_a_link_expires_and_is_renewed(attaching: Attaching, links_clock: Clock) -> None:
    application = await attaching(attachment_link_seconds="60")
    thread_id, _ = await picture(application)
    old = await preview(application, thread_id)
    assert (await fetch(old)).status_code == 200

    links_clock.now += 121

    assert (await fetch(old)).status_code == 404
    assert (await fetch(await preview(application, thread_id))).status_code == 200


@pytest.mark.skipif(SESSIONS is None, reason="this auth style has no sessions")
async def test_a_link_ends_with_its_session(application: Application, database: Database) -> None:
    thread_id, _ = await picture(application)
    mine, theirs = application.visitor.user_id, application.stranger.user_id
    url = await preview(application, thread_id)
    assert SESSIONS is not None
    await database.fetch(theirs, delete(SESSIONS).where(SESSIONS.c.user_id == theirs))
    assert (await fetch(url)).status_code == 200

    await database.fetch(mine, delete(SESSIONS).where(SESSIONS.c.user_id == mine))

    assert (await fetch(url)).status_code == 404


async def test_a_forged_link_is_refused(application: Application, settings: Settings) -> None:
    thread_id, attachment = await picture(application)
    url = await preview(application, thread_id)
    base, _, token = url.rpartition("/")
    middle = len(token) // 2
    swapped = "A" if token[middle] != "A" else "B"
    tampered = token[:middle] + swapped + token[middle + 1 :]
    payload = URLSafeSerializer("").loads_unsafe(token)[1]
    sha256 = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    by_another_key = URLSafeSerializer("x" * 32, "attachment-link", signer_kwargs=sha256)
    for_another_purpose = URLSafeSerializer(settings.signing_keys, signer_kwargs=sha256)

    for made_up in (
        tampered,
        by_another_key.dumps(payload),
        for_another_purpose.dumps(payload),
        token[:-1],
        "x",
        attachment["id"],
        key_of(application.visitor.user_id, attachment["id"]),
        "..%2F..%2Fetc%2Fpasswd",
    ):
        assert (await fetch(f"{base}/{made_up}")).status_code in {404, 405}, made_up


async def test_a_link_to_a_deleted_file_is_not_found(application: Application) -> None:
    thread_id, _ = await picture(application)
    url = await preview(application, thread_id)

    await application.visitor.send("threads.delete", thread_id=thread_id)

    # S3 itself answers 403 for a missing file.
    assert (await fetch(url)).status_code in {403, 404}


async def test_only_pictures_are_shown(application: Application) -> None:
    """An uploaded HTML page must not run as a page of this site."""
    attachment = await attach(application.visitor, HTML, "a.html", "text/html")
    await send(application.visitor, attachment["id"])
    key = key_of(application.visitor.user_id, attachment["id"])
    context = RequestContext(application.visitor.user_id)
    token = application.attachments.links.token(key, 'ä".html', "text/html", context)

    async with httpx2.AsyncClient(base_url=application.url, timeout=30) as browser:
        ours = await browser.get(f"/attachments/{token}")
    shown = await fetch(f"{application.url}/attachments/{token}")

    assert ours.headers["x-content-type-options"] == "nosniff"
    assert ours.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert ours.headers["cache-control"].startswith("private, max-age=")
    assert shown.content == HTML
    assert shown.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A4%22.html"


@pytest.mark.parametrize("name", ["letter.txt"])
async def test_other_files_have_no_link(application: Application, name: str) -> None:
    attachment = await attach(application.visitor, TEXT, name, "text/plain")

    assert "preview_url" not in attachment


async def test_the_public_address_can_be_set(attaching: Attaching) -> None:
    application = await attaching(attachment_public_url="https://chat.example.com/app/")
    thread_id, _ = await picture(application)

    url = await preview(application, thread_id)

    assert url.startswith("https://chat.example.com/app/attachments/")
