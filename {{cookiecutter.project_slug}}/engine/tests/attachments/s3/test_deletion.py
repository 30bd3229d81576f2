"""Deletion of several files with one request, to which a store answers 200 even if it fails."""

import base64
import hashlib
import io
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from engine.attachments.files import FilesLeft, FilesUnavailable
from engine.attachments.s3.storage import S3Files
from engine.database.database import EVERYBODY, Database
from engine.database.rows import AttachmentRow
from engine.tests.attachments.fixtures import Application, Attaching, attach
from engine.tests.attachments.s3.front import Front, error, front
from engine.tests.attachments.test_sweeper import HALF_A_SECOND, until_old

NAMES = ("owner/a", "owner/b", "owner/c")


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Front]:
    async with front() as front_:
        yield front_


@pytest_asyncio.fixture
async def application(attaching: Attaching, store: Front) -> Application:
    application = await attaching(s3_endpoint_url=store.url, attachment_orphan_hours=HALF_A_SECOND)
    assert isinstance(application.attachments.files, S3Files)
    return application


async def fill(application: Application) -> None:
    for name in NAMES:
        await application.attachments.files.put(name, io.BytesIO(b"content"), "text/plain")


def listed(request: Request, body: bytes) -> list[str] | None:
    """The keys in a DeleteObjects request."""
    if request.method != "POST" or "delete" not in request.query_params:
        return None
    return re.findall(r"<Key>([^<]*)</Key>", body.decode())


def result(deleted: list[str], **refused: str) -> Response:
    """S3's response: deleted keys, and by error code the last part of keys that it keeps."""
    lines = [f"<Deleted><Key>{key}</Key></Deleted>" for key in deleted]
    lines += [f"<Error><Key>{k}</Key><Code>{c}</Code></Error>" for c, k in refused.items()]
    body = f"<DeleteResult>{''.join(lines)}</DeleteResult>"
    return Response(body, media_type="application/xml")


async def test_several_files_are_deleted_with_one_request(
    application: Application, store: Front
) -> None:
    await fill(application)

    await application.attachments.files.delete([*NAMES, "owner/never-there"])

    assert await application.keys() == set()
    assert len(store.came("POST", "delete")) == 1
    assert store.came("DELETE") == []


async def test_a_store_that_requires_content_md5(application: Application, store: Front) -> None:
    def demanding(request: Request, body: bytes) -> Response | None:
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if listed(request, body) and request.headers.get("content-md5") != digest:
            return error(400, "MissingContentMD5")
        return None

    await fill(application)
    store.rule = demanding

    await application.attachments.files.delete(NAMES)

    assert await application.keys() == set()
    assert store.came("DELETE") == []


@pytest.mark.parametrize("status", [400, 405, 501])
async def test_a_store_without_delete_objects(
    application: Application, store: Front, status: int
) -> None:
    await fill(application)
    store.rule = lambda request, body: (
        error(status, "NotImplemented") if listed(request, body) else None
    )

    await application.attachments.files.delete(NAMES)

    assert await application.keys() == set()
    assert len(store.came("DELETE")) == len(NAMES)


async def test_a_file_that_is_kept_is_reported(application: Application, store: Front) -> None:
    await fill(application)

    def refusing(request: Request, body: bytes) -> Response | None:
        keys = listed(request, body)
        return result(keys[1:], AccessDenied=keys[0]) if keys else None

    store.rule = refusing
    with pytest.raises(FilesLeft) as left:
        await application.attachments.files.delete(NAMES)

    assert left.value.left.keys() == {NAMES[0]}
    assert "s3:DeleteObject is missing" in left.value.reasons


async def test_a_file_missing_in_the_response_is_deleted_alone(
    application: Application, store: Front
) -> None:
    await fill(application)
    store.rule = lambda request, body: result([]) if listed(request, body) else None

    await application.attachments.files.delete(NAMES)

    assert await application.keys() == set()


@pytest.mark.parametrize("code", ["NoSuchKey", "404"])
async def test_missing_files_are_ignored(application: Application, store: Front, code: str) -> None:
    def answer(request: Request, body: bytes) -> Response | None:
        if keys := listed(request, body):
            return Response(
                f"<DeleteResult><Error><Key>{keys[0]}</Key><Code>{code}</Code></Error>"
                "</DeleteResult>",
                media_type="application/xml",
            )
        return error(404, code) if request.method == "DELETE" else None

    store.rule = answer
    await application.attachments.files.delete(NAMES)


async def test_after_a_server_error_no_single_deletions_are_sent(
    application: Application, store: Front
) -> None:
    store.rule = lambda request, _body: (
        error(503, "SlowDown") if request.method in {"POST", "DELETE"} else None
    )
    with pytest.raises(FilesUnavailable):
        await application.attachments.files.delete(NAMES)

    assert store.came("DELETE") == []


async def test_a_user_deletes_a_file_that_the_store_keeps(
    application: Application, store: Front, caplog: pytest.LogCaptureFixture
) -> None:
    attachment_id = (await attach(application.visitor))["id"]

    def refusing(request: Request, body: bytes) -> Response | None:
        keys = listed(request, body)
        return result(keys[1:], AccessDenied=keys[0]) if keys else None

    store.rule = refusing
    deleted = await application.visitor.send("attachments.delete", attachment_id=attachment_id)

    assert deleted.status_code == 200
    assert "1 files are left to the sweeper: s3:DeleteObject is missing" in caplog.text


async def test_kept_files_do_not_count_as_swept(
    application: Application,
    store: Front,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await until_old()
    await application.attachments.sweeper.sweep()  # files of other tests
    kept, other = [(await attach(application.visitor))["id"] for _ in range(2)]
    await until_old()
    moto = store.rule

    def refusing(request: Request, body: bytes) -> Response | None:
        keys = listed(request, body) or []
        refused = [key for key in keys if kept in key]
        return result(keys, AccessDenied=refused[-1]) if refused else None

    store.rule = refusing
    caplog.clear()
    assert await application.attachments.sweeper.sweep() == 1

    assert await unsent(database, application) == {kept}
    assert [other in key or kept in key for key in await application.keys()] == [True]
    [line] = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert line.startswith(
        "1 orphaned files are left to the next sweep: s3:DeleteObject is missing"
    )

    store.rule = moto
    assert await application.attachments.sweeper.sweep() == 1
    assert await unsent(database, application) == set()
    assert await application.keys() == set()


async def test_a_row_stays_while_the_store_is_unavailable(
    application: Application, store: Front, database: Database
) -> None:
    attachment_id = (await attach(application.visitor))["id"]
    await until_old()
    store.rule = lambda _request, _body: error(503, "SlowDown")

    with pytest.raises(FilesUnavailable):
        await application.attachments.sweeper.sweep()

    assert await unsent(database, application) == {attachment_id}


async def unsent(database: Database, application: Application) -> set[str]:
    owner = AttachmentRow.user_id == application.visitor.user_id
    rows = await database.fetch(EVERYBODY, select(AttachmentRow.id).where(owner))
    return {row.id for row in rows}
