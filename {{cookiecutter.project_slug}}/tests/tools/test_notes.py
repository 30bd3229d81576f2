"""Notes, tested through the chat."""

import re

import pytest

from app.agent.tools.notes.rows import NoteStore
from app.agent.tools.notes.tool import MAX_NOTE_LENGTH
from engine.database.database import Database
from engine.database.users import ensure_user
from engine.tests.talk import Turn, Visitor


def tasks(turn: Turn) -> list[tuple[str, str, str]]:
    [workflow] = turn.done("workflow")
    return [
        (task["title"], task["icon"], task["status_indicator"])
        for task in workflow["workflow"]["tasks"][1:]
    ]


async def test_a_note_is_saved_listed_found_and_deleted(visitor: Visitor) -> None:
    saved = await visitor.say("Remember that the launch is on Friday")
    assert tasks(saved) == [("Saving a note", "notebook", "complete")]
    found = re.fullmatch(r"Saved as note (\d+)\.", saved.answer)
    assert found is not None
    number = found[1]
    await visitor.say("Remember: buy 100% milk", saved.thread_id)

    listed = await visitor.say("Show my notes", saved.thread_id)
    assert tasks(listed) == [("Reading your notes", "notebook", "complete")]
    assert listed.answer.splitlines()[1] == f"{number}: the launch is on Friday"

    searched = await visitor.say("Search my notes for LAUNCH", saved.thread_id)
    assert tasks(searched) == [("Searching your notes", "notebook", "complete")]
    assert searched.answer == f"{number}: the launch is on Friday"
    literal = await visitor.say("Search my notes for 0% m", saved.thread_id)
    assert "milk" in literal.answer

    deleted = await visitor.say(f"Delete note {number}", saved.thread_id)
    assert deleted.answer == f"Deleted note {number}."
    left = await visitor.say("List my notes", saved.thread_id)
    assert "launch" not in left.answer


async def test_another_users_notes_cannot_be_read_or_deleted(
    visitor: Visitor, stranger: Visitor
) -> None:
    saved = await visitor.say("Remember that my secret is 42")
    number = saved.answer.removeprefix("Saved as note ").removesuffix(".")

    listed = await stranger.say("Show my notes")
    assert listed.answer == "There are no notes."
    searched = await stranger.say("Search my notes for secret", listed.thread_id)
    assert searched.answer == "There are no notes."
    deleted = await stranger.say(f"Delete note {number}", listed.thread_id)
    assert deleted.answer == f"There is no note {number}."
    assert "secret is 42" in (await visitor.say("Show my notes", saved.thread_id)).answer


async def test_a_note_that_is_too_long_is_not_saved(visitor: Visitor) -> None:
    turn = await visitor.say("Remember " + "x" * (MAX_NOTE_LENGTH + 1))
    assert turn.answer.startswith("Not saved:")


async def test_the_chosen_tool_is_used(visitor: Visitor) -> None:
    turn = await visitor.say("hello", tool="notes")
    assert tasks(turn) == [("Reading your notes", "notebook", "complete")]


@pytest.mark.parametrize("text", ["%", "_"])
async def test_search_matches_literally(database: Database, text: str) -> None:
    await database.write("notes-owner", ensure_user("notes-owner"))
    notes = NoteStore(database, "notes-owner")
    await notes.add("plain")
    assert await notes.newest(10, containing=text) == []
