"""Saves, lists, searches and deletes the user's notes."""

import re

from agents import RunContextWrapper

from app.agent.tools.notes.rows import Note, NoteStore
from engine import AgentTool, DemoCall, TurnContext, agent_function

MAX_NOTE_LENGTH = 4_000
MAX_LISTED = 50

Turn = RunContextWrapper[TurnContext]


@agent_function
async def save_note(turn: Turn, text: str) -> str:
    """Save a note for the user.

    Args:
        text: The note, in the user's words.
    """
    text = text.strip()
    if not text or len(text) > MAX_NOTE_LENGTH:
        return f"Not saved: a note has 1 to {MAX_NOTE_LENGTH} characters."
    note = await _notes(turn).add(text)
    return f"Saved as note {note.id}."


@agent_function
async def list_notes(turn: Turn) -> str:
    """List the user's newest notes with their numbers."""
    return _lines(await _notes(turn).newest(MAX_LISTED))


@agent_function
async def search_notes(turn: Turn, words: str) -> str:
    """Find the user's notes that contain these words.

    Args:
        words: The words to search for, as written in the note.
    """
    return _lines(await _notes(turn).newest(MAX_LISTED, containing=words.strip()))


@agent_function
async def delete_note(turn: Turn, number: int) -> str:
    """Delete one of the user's notes. Only if the user asks for it.

    Args:
        number: The note's number in the result of list_notes or search_notes.
    """
    deleted = await _notes(turn).delete(number)
    return f"Deleted note {number}." if deleted else f"There is no note {number}."


def _notes(turn: Turn) -> NoteStore:
    return NoteStore(turn.context.database, turn.context.user_id)


def _lines(notes: list[Note]) -> str:
    return "\n".join(f"{note.id}: {note.text}" for note in notes) or "There are no notes."


def _demo(text: str) -> DemoCall | None:
    """The call for the first pattern that matches; the pattern's group is the argument."""
    if found := re.search(r"\b(?:delete|forget) note (\d+)", text, re.I):
        return DemoCall("delete_note", {"number": int(found[1])})
    if found := re.search(
        r"\b(?:search|find)\b.*?\bnotes?(?: (?:about|for|with))? (.+)", text, re.I
    ):
        return DemoCall("search_notes", {"words": found[1]})
    if re.search(r"\b(?:list|show|which|what)\b.*\bnotes\b", text, re.I):
        return DemoCall("list_notes", {})
    if found := re.search(
        r"\b(?:remember|note|save|merke dir|recuerda|retiens)(?: that| que)?\b:? (.+)",
        text,
        re.I | re.S,
    ):
        return DemoCall("save_note", {"text": found[1]})
    return None


NOTES = AgentTool(
    id="notes",
    label="Notes",
    icon="notebook",
    functions=(save_note, list_notes, search_notes, delete_note),
    placeholder="Remember, list, find or delete a note",
    prompt="Remember that our launch is on Friday",
    titles={
        "save_note": "Saving a note",
        "list_notes": "Reading your notes",
        "search_notes": "Searching your notes",
        "delete_note": "Deleting a note",
    },
    demo=_demo,
    demo_default=DemoCall("list_notes", {}),
)
