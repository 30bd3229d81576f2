"""The model reads attached files with a tool."""

from typing import Any

from engine.attachments.types import DOCX
from engine.settings.settings import Settings
from engine.tests.attachments.fixtures import Application, Attaching, attach, attaching, say_with
from engine.tests.attachments.samples import PNG
from engine.tests.model_server import answer, call, model_server
from engine.tests.talk import Turn
from engine.tests.toolkits.test_documents import docx, pdf

__all__ = ["attaching"]


def task(turn: Turn) -> dict[str, Any]:
    [workflow] = turn.done("workflow")
    found: dict[str, Any] = workflow["workflow"]["tasks"][1]
    return found


async def with_files(attaching: Attaching, **settings: Any) -> tuple[Application, Turn]:
    """A thread with a Word file, a PDF and a picture."""
    application = await attaching(**settings)
    ids = [
        (await attach(application.visitor, *file))["id"]
        for file in (
            (docx("The launch is on Friday."), "plan.docx", DOCX),
            (pdf("It was rainy."), "report.pdf", "application/pdf"),
            (PNG, "logo.png", "image/png"),
        )
    ]
    return application, await say_with(application.visitor, *ids, text="Hello.")


async def test_files_are_listed(attaching: Attaching) -> None:
    application, first = await with_files(attaching)

    turn = await application.visitor.say("Which files are there?", first.thread_id)

    assert [line.split(" (")[0] for line in turn.answer.splitlines()] == [
        "1: plan.docx",
        "2: report.pdf",
        "3: logo.png",
    ]
    assert task(turn)["title"] == "Looking at your files"


async def test_files_are_read(attaching: Attaching) -> None:
    application, first = await with_files(attaching)
    thread_id = first.thread_id

    word = await application.visitor.say("Read file 1", thread_id)
    portable = await application.visitor.say("Read file 2", thread_id)
    picture = await application.visitor.say("Read file 3", thread_id)
    none = await application.visitor.say("Read file 4", thread_id)

    assert "The launch is on Friday." in word.answer
    assert "It was rainy." in portable.answer
    assert picture.answer == "logo.png is a picture: there is no text to read."
    assert none.answer == "There is no file 4. There are 3."


async def test_a_long_file_is_read_in_parts(attaching: Attaching) -> None:
    application = await attaching()
    text = "".join(f"{n:06} " for n in range(5_000)).encode()
    attachment = await attach(application.visitor, text, "long.txt", "text/plain")
    async with model_server() as (model, url):
        served = await attaching(openai_api_key=_key(), openai_base_url=url)
        attachment = await attach(served.visitor, text, "long.txt", "text/plain")
        model.does(
            call(
                ("read_file", '{"number": 1, "part": 2}'), ("read_file", '{"number": 1, "part": 9}')
            ),
            answer("Read."),
        )

        await say_with(served.visitor, attachment["id"])

        second, beyond = model.exchanges[1].results
    assert second.startswith("long.txt, part 2 of 3:\n")
    assert beyond == "long.txt has 3 parts."


async def test_a_file_is_read_only_in_its_own_thread(attaching: Attaching) -> None:
    application, _ = await with_files(attaching)

    turn = await application.visitor.say("Which files are there?")
    stranger = await application.stranger.say("Read file 1")

    assert turn.answer == "Nothing is attached to this conversation."
    assert stranger.answer == "There is no file 1. There are 0."


async def test_an_unreadable_file_is_reported(attaching: Attaching, settings: Settings) -> None:
    application = await attaching()
    attachment = await attach(
        application.visitor, b"%PDF-1.4\nbroken", "broken.pdf", "application/pdf"
    )
    first = await say_with(application.visitor, attachment["id"], text="Hello.")

    turn = await application.visitor.say("Read file 1", first.thread_id)

    assert turn.answer.startswith("broken.pdf cannot be read: it is damaged")
    assert turn.error is None


async def test_a_missing_file_is_reported(attaching: Attaching) -> None:
    application, first = await with_files(attaching)
    await application.attachments.files.delete(list(await application.keys()))

    turn = await application.visitor.say("Read file 1", first.thread_id)

    assert turn.answer == "plan.docx is no longer there."


def _key() -> Any:
    from pydantic import SecretStr

    return SecretStr("key")
