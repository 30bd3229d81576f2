"""Direct uploads into a folder."""

import io
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.attachments.files import INCOMING, FileGone, FilesLeft, owner_part
from engine.attachments.local import upload as upload_route
from engine.attachments.local.storage import LocalFiles
from engine.database.database import EVERYBODY, Database
from engine.http import request_body
from engine.operate.privacy import erase as erasing
from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with, upload
from engine.tests.attachments.samples import PNG, TEXT
from engine.tests.privacy.everything import tables_with

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


async def test_the_page_uploads_to_the_application(application: Application) -> None:
    extras = (await application.visitor.client.get("/config.json")).json()["extras"]

    assert extras["api"]["uploadStrategy"] == {"type": "direct", "uploadUrl": "attachments"}


async def test_the_response_is_the_attachment(application: Application) -> None:
    text = await attach(application.visitor, TEXT, "a.txt", "text/plain; charset=utf-8")
    picture = await attach(application.visitor, PNG, "a.bin", "application/octet-stream")

    assert text == {"id": text["id"], "name": "a.txt", "mime_type": "text/plain", "type": "file"}
    assert (picture["type"], picture["mime_type"]) == ("image", "image/png")


async def test_an_erasure_leaves_nothing_in_any_folder(
    application: Application, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0)
    user_id, word = application.visitor.user_id, "mulberry7731"
    for name in ("sent", "unsent"):
        attachment = await attach(application.visitor, f"{word} {name}".encode(), f"{word}.txt")
        if name == "sent":
            await say_with(application.visitor, attachment["id"], text=f"Read {word}.")
    traces = (user_id, word, attachment["id"])
    in_folders = (owner_part(user_id), *traces)
    assert found_below(tmp_path, in_folders)

    await erasing.erase(database, user_id, application.attachments)

    assert found_below(tmp_path, in_folders) == []
    async with database.reading(EVERYBODY) as connection:
        for trace in traces:
            assert await tables_with(connection, trace) == []


async def test_a_folder_that_was_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's last file is deleted while another one is stored."""
    files = LocalFiles(tmp_path)
    make = LocalFiles._make_folder
    gone: list[Path] = []

    def make_and_lose(self: LocalFiles, folder: Path) -> None:
        make(self, folder)
        if folder.name == "owner" and not gone:
            gone.append(folder)
            folder.rmdir()

    monkeypatch.setattr(LocalFiles, "_make_folder", make_and_lose)

    await files.put("owner/file", io.BytesIO(b"content"), "text/plain")

    assert gone
    assert await files.read("owner/file") == b"content"


def found_below(folder: Path, words: Iterable[str]) -> list[str]:
    """Files and folders with one of the words in their name or content."""
    return [
        str(path)
        for path in folder.rglob("*")
        for word in words
        if word in str(path) or (path.is_file() and word.encode() in path.read_bytes())
    ]


async def test_two_phase_uploads_are_refused(application: Application) -> None:
    params: Any = {"name": "a", "size": 1, "mime_type": "text/plain"}

    response = await application.visitor.send("attachments.create", **params)

    assert response.status_code == 422


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"x", "headers": {"Content-Type": "text/plain"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"data": {"file": "no file"}},
        {"files": {"other": ("a", b"a")}},
        {"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]},
    ],
    ids=["text", "no boundary", "no form", "no file", "another field", "two files"],
)
async def test_invalid_uploads(application: Application, request_: dict[str, object]) -> None:
    response = await application.visitor.client.post("/attachments", **request_)  # type: ignore[arg-type]

    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert await application.keys() == set()


async def test_a_large_upload_without_content_length(attaching: Attaching) -> None:
    """It is not read to its end, which would never come."""
    application = await attaching(attachment_max_bytes="1000")
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'

    status = await application.visitor.post_without_end(
        "/attachments",
        FORM | {"Transfer-Encoding": "chunked"},
        [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (form, *[b"x" * 10_000] * 10)],
    )

    assert status == 413
    assert await application.keys() == set()


async def test_a_large_content_length_is_refused_before_the_body(attaching: Attaching) -> None:
    application = await attaching(attachment_max_bytes="1000")

    declared = FORM | {"Content-Length": "100000"}
    assert await application.visitor.post_without_end("/attachments", declared) == 413


async def test_a_user_without_room_is_refused_before_the_body(attaching: Attaching) -> None:
    application = await attaching(attachment_user_bytes=str(len(TEXT)))
    await attach(application.visitor)

    declared = FORM | {"Content-Length": "100"}
    assert await application.visitor.post_without_end("/attachments", declared) == 413


async def test_a_folder_that_is_not_writable(attaching: Attaching, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("no folder")
    application = await attaching(attachment_folder=str(tmp_path / "occupied" / "files"))

    response = await upload(application.visitor)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "files_unavailable")
    assert response.json()["error"]["message"] == "Files cannot be stored or read right now."


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, or if mounting is not possible, a limit for the size of files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode:  # noqa: S603
        yield folder
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607
        return
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk(attaching: Attaching, small_disk: Path) -> None:
    application = await attaching(attachment_folder=str(small_disk))

    response = await upload(application.visitor, b"x" * 100_000)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "files_unavailable")
    assert await application.keys() == set()
    attachment = await attach(application.visitor, b"small enough")
    await say_with(application.visitor, attachment["id"])


async def test_a_failed_deletion_does_not_prevent_others(tmp_path: Path) -> None:
    (tmp_path / "owner" / "kept").mkdir(
        parents=True
    )  # a folder, which even root cannot delete like a file
    (tmp_path / "owner" / "file").write_text("content")

    with pytest.raises(FilesLeft) as left:
        await LocalFiles(tmp_path).delete(["owner/kept", "owner/never-there", "owner/file"])

    assert left.value.left.keys() == {"owner/kept"}
    assert left.value.reasons
    assert not (tmp_path / "owner" / "file").exists()


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "a/../../../secret", "/etc/passwd"])
async def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    """Requests cannot contain keys; this is a second protection."""
    (tmp_path / "secret").write_text("mine")
    files = LocalFiles(tmp_path / "files")

    for attempt in (
        files.read(key),
        files.put(key, io.BytesIO(b"theirs"), "text/plain"),
        files.locate(key, "text/plain", "inline", 60),
        files.delete([key]),
    ):
        with pytest.raises(FileGone):
            await attempt

    assert inside(tmp_path) == {"secret": "mine"}


def inside(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*")}


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_files_are_not_readable_by_other_users_of_the_machine(
    application: Application, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        await attach(application.visitor)
    finally:
        os.umask(before)
    [key] = await application.keys()
    file = tmp_path / "files" / key

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (file.parent, tmp_path / "files", tmp_path / "files" / INCOMING):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_stalled_upload_is_aborted(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "IDLE_SECONDS", 0.2)
    declared = FORM | {"Content-Length": "100"}

    assert await application.visitor.post_without_end("/attachments", declared) == 408
    assert await application.keys() == set()


async def test_a_slow_upload_is_aborted(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_route, "UPLOAD_SECONDS", 0.2)
    declared = FORM | {"Content-Length": "100"}

    assert await application.visitor.post_without_end("/attachments", declared) == 408


async def test_parallel_uploads_of_a_user_are_limited(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_route, "UPLOADS_PER_USER", 2)
    monkeypatch.setattr(upload_route, "UPLOADS_PER_PROCESS", 3)
    with upload_route._counted_upload(application.visitor.user_id):
        assert (await upload(application.visitor)).status_code == 200
        with upload_route._counted_upload(application.visitor.user_id):
            refused = await upload(application.visitor)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
            assert (await upload(application.stranger)).status_code == 200
            with upload_route._counted_upload("somebody"):
                assert (await upload(application.stranger)).status_code == 429
    assert not upload_route._active_uploads


async def test_a_failed_upload_does_not_use_room(attaching: Attaching, tmp_path: Path) -> None:
    application = await attaching(attachment_user_bytes=str(len(TEXT)))
    (tmp_path / "files").write_text("no folder")
    assert (await upload(application.visitor)).status_code == 503
    (tmp_path / "files").unlink()

    assert (await upload(application.visitor)).status_code == 200
