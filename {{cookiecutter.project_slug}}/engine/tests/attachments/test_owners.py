"""A file belongs to its owner, and is deleted with its thread."""

import asyncio

import httpx2
import pytest
from pydantic import SecretStr

from engine.attachments.files import FilesUnavailable
from engine.context.request_context import RequestContext
from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with, send
from engine.tests.attachments.samples import PNG
from engine.tests.model_server import Exchange, model_server, silence
from engine.tests.talk import PATIENCE_SECONDS


async def test_another_users_file_cannot_be_sent(application: Application) -> None:
    attachment = await attach(application.visitor)

    response = await send(application.stranger, attachment["id"])

    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert (await application.stranger.send("threads.list")).json()["data"] == []
    assert (await send(application.visitor, attachment["id"])).status_code == 200


async def test_another_users_file_cannot_be_deleted(application: Application) -> None:
    attachment = await attach(application.visitor)

    response = await application.stranger.send("attachments.delete", attachment_id=attachment["id"])

    assert response.status_code == 404
    assert len(await application.keys()) == 1


async def test_an_unsent_file_can_be_deleted(application: Application) -> None:
    attachment = await attach(application.visitor)

    response = await application.visitor.send("attachments.delete", attachment_id=attachment["id"])

    assert response.status_code == 200
    assert await application.keys() == set()
    assert (await send(application.visitor, attachment["id"])).status_code == 404


async def test_a_sent_file_cannot_be_deleted_or_sent_again(application: Application) -> None:
    attachment = await attach(application.visitor)
    turn = await say_with(application.visitor, attachment["id"])

    assert (await send(application.visitor, attachment["id"])).status_code == 422
    deleted = await application.visitor.send("attachments.delete", attachment_id=attachment["id"])
    assert deleted.status_code == 422

    [message, *_] = await application.visitor.items(turn.thread_id)
    assert [a["id"] for a in message["attachments"]] == [attachment["id"]]


async def test_a_repeated_message_with_a_file_is_recognized(application: Application) -> None:
    attachment = await attach(application.visitor)
    sent = {
        "content": [{"type": "input_text", "text": "Look."}],
        "attachments": [attachment["id"]],
        "inference_options": {},
    }
    key = {"Idempotency-Key": "k-1"}
    first = await application.visitor.send("threads.create", headers=key, input=sent)
    assert first.status_code == 200

    again = await application.visitor.send("threads.create", headers=key, input=sent)

    assert (again.status_code, again.json()["error"]["code"]) == (409, "repeated_request")


async def test_files_are_deleted_with_their_thread(application: Application) -> None:
    first = await attach(application.visitor, PNG, "a.png", "image/png")
    turn = await say_with(application.visitor, first["id"])
    second = await attach(application.visitor)
    other = await say_with(application.visitor, second["id"])
    assert len(await application.keys()) == 2

    await application.visitor.send("threads.delete", thread_id=turn.thread_id)

    [left] = await application.keys()
    assert left.endswith(second["id"])
    assert other.done("user_message")[0]["attachments"][0]["id"] == second["id"]


async def test_files_are_deleted_with_a_thread_that_is_being_answered(attaching: Attaching) -> None:
    async with model_server() as (model, url):
        application = await attaching(openai_api_key=SecretStr("key"), openai_base_url=url)
        visitor = application.visitor
        attachment = await attach(visitor)
        asked = asyncio.Event()

        async def think(exchange: Exchange) -> None:
            asked.set()
            await silence(exchange)

        model.does(think)
        answering = asyncio.create_task(send(visitor, attachment["id"]))
        await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
        [thread] = (await visitor.send("threads.list")).json()["data"]

        await visitor.send("threads.delete", thread_id=thread["id"])

        assert await application.keys() == set()
        answering.cancel()
        await asyncio.wait({answering})
        assert (await visitor.send("threads.list")).json()["data"] == []


async def test_files_of_other_users_are_kept(application: Application) -> None:
    attachment = await attach(application.visitor)
    turn = await say_with(application.visitor, attachment["id"])

    response = await application.stranger.send("threads.delete", thread_id=turn.thread_id)

    assert response.status_code == 404
    assert len(await application.keys()) == 1


async def test_internal_metadata_is_not_sent(application: Application) -> None:
    attachment = await attach(application.visitor)
    turn = await say_with(application.visitor, attachment["id"])
    [message, *_] = await application.visitor.items(turn.thread_id)

    for told in (turn.done("user_message")[0]["attachments"], message["attachments"]):
        assert [sorted(a) for a in told] == [["id", "mime_type", "name", "thread_id", "type"]]


async def test_a_message_may_have_only_a_file(application: Application) -> None:
    attachment = await attach(application.visitor, name="plan.txt")

    turn = await say_with(application.visitor, attachment["id"], text="")

    [thread] = (await application.visitor.send("threads.list")).json()["data"]
    assert (thread["id"], thread["title"]) == (turn.thread_id, "plan.txt")


async def test_without_credentials_uploads_are_refused(application: Application) -> None:
    async with httpx2.AsyncClient(base_url=application.url, timeout=30) as nobody:
        params = {"name": "a", "size": 1, "mime_type": "text/plain"}
        body = {"type": "attachments.create", "params": params}
        assert (await nobody.post("/chatkit", json=body)).status_code == 401
        uploaded = await nobody.post("/attachments", files={"file": ("a", b"a", "text/plain")})
        assert uploaded.status_code in {401, 404}
    assert await application.keys() == set()


async def test_all_of_a_users_files_are_found_and_deleted(application: Application) -> None:
    user_id = application.visitor.user_id
    sent, unsent = [await attach(application.visitor) for _ in range(2)]
    await say_with(application.visitor, sent["id"])
    theirs = await attach(application.stranger)

    ids = await application.attachments.of_user(user_id)
    assert sorted(ids) == sorted([sent["id"], unsent["id"]])
    assert await application.attachments.discard(ids, RequestContext(user_id))
    assert sent["id"] not in str(await application.keys())
    assert theirs["id"] in str(await application.keys())


async def test_files_that_cannot_be_deleted_are_logged(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(keys: object) -> None:
        raise FilesUnavailable

    monkeypatch.setattr(application.attachments.files, "delete", fail)
    context = RequestContext(application.visitor.user_id)
    assert not await application.attachments.discard(["one"], context)
    assert "1 files are left to the sweeper" in caplog.text
