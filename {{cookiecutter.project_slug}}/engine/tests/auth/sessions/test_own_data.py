"""Users export and erase their own data on a page of this server."""

import io
import re
import secrets
import zipfile

import httpx2
import pytest

from engine.auth.sessions.own_data import ERASE, EXPORT, YOUR_DATA
from engine.database.database import Database
from engine.operate.privacy import erase as erasing
from engine.operate.privacy.erase import is_erased
from engine.settings.settings import Settings
from engine.tests.fixtures import visiting
from engine.tests.privacy.everything import rows_of
from engine.tests.talk import German, Visitor

_TOKEN = re.compile(r'name="form_token" type="hidden" value="([0-9a-f]+)"')


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0)


async def page(visitor: Visitor) -> str:
    response = await visitor.client.get(YOUR_DATA)
    assert response.status_code == 200
    return response.text


async def submit(visitor: Visitor, path: str, **fields: str) -> httpx2.Response:
    found = _TOKEN.search(await page(visitor))
    assert found is not None
    return await visitor.client.post(path, data={"form_token": found[1], **fields})


async def test_the_page_is_in_the_browsers_language(visitor: Visitor, german: German) -> None:
    german({"Download my data": "Meine Daten herunterladen"})
    html = (await visitor.client.get(YOUR_DATA, headers={"Accept-Language": "de"})).text
    assert '<html lang="de" dir="ltr"' in html
    assert "Meine Daten herunterladen" in html


async def test_an_archive_of_ones_own_is_downloaded(visitor: Visitor, stranger: Visitor) -> None:
    turn = await visitor.say("my own words")
    await stranger.say("a stranger's words")

    response = await submit(visitor, EXPORT)

    assert response.headers["content-type"] == "application/zip"
    assert "your-data.zip" in response.headers["content-disposition"]
    assert response.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        text = archive.read(f"conversations/{turn.thread_id}.md").decode()
        assert "my own words" in text
        assert "stranger" not in "".join(map(str, archive.namelist()))


async def test_a_form_of_another_site_is_refused(visitor: Visitor, database: Database) -> None:
    await visitor.say("hello")
    for path in (EXPORT, ERASE):
        response = await visitor.client.post(path, data={"form_token": "0" * 64, "sure": "on"})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forged_form"
    assert await rows_of(database, visitor.user_id)


async def test_an_erasure_has_to_be_confirmed(visitor: Visitor, database: Database) -> None:
    await visitor.say("hello")
    response = await submit(visitor, ERASE)
    assert response.status_code == 422
    assert "Please confirm" in response.text
    assert await rows_of(database, visitor.user_id)


async def test_without_a_session_one_signs_in_first(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url) as client:
        response = await client.get(YOUR_DATA)
        assert response.status_code == 303
        assert "/sign-in?next=" in response.headers["location"]
        assert (await client.post(EXPORT, data={})).status_code in (401, 403)


def asks_password(html: str) -> bool:
    return 'type="password"' in html


async def test_all_is_erased_and_one_is_signed_out(
    base_url: str, settings: Settings, database: Database
) -> None:
    user_id = f"own-{secrets.token_hex(8)}"
    async with visiting(base_url, settings, user_id=user_id) as visitor:
        await visitor.say("hello")
        if asks_password(await page(visitor)):
            pytest.skip("asks for the password, see test_password")
        response = await submit(visitor, ERASE, sure="on")

        assert response.status_code == 200
        assert "Your data are erased." in response.text
        assert (await visitor.send("threads.list")).status_code == 401
    assert await rows_of(database, user_id) == {}
    assert await is_erased(database, user_id)
