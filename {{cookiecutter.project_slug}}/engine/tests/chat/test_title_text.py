"""How a title's text is cut and cleaned, through each of the ways that lead to one."""

import pytest

from engine.tests.talk import Visitor
from engine.text.title_text import MAX_TITLE_CHARS, one_line, shortened

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🏴󠁧󠁢󠁥󠁮󠁧󠁿"
MARKS = [
    chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
]


@pytest.mark.parametrize(
    "cluster", [FAMILY, FLAG, "🇩🇪", "e\u0301", "👍🏽", "\u1112\u1161\u11ab", "क्षि"]
)
@pytest.mark.parametrize("before", range(3))
def test_it_is_cut_between_clusters(cluster: str, before: int) -> None:
    title = shortened("x" * before + cluster * MAX_TITLE_CHARS)

    assert len(title) <= MAX_TITLE_CHARS
    assert title.endswith(f"{cluster}...")
    assert title.removeprefix("x" * before).removesuffix("...").replace(cluster, "") == ""


def test_a_letter_with_more_marks_than_there_is_room_is_cut() -> None:
    assert len(shortened("a" + "\u0301" * 1_000)) == MAX_TITLE_CHARS


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f" Rome\n\tand\u2028{FAMILY} ", f"Rome and {FAMILY}"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        (FLAG, FLAG),
        ("☂\ufe0f", "☂\ufe0f"),
        ("\u200b\u2060\ufeff\u00ad", ""),
        ("\u3164\u200d", ""),
    ],
)
def test_a_line_keeps_what_is_seen(text: str, line: str) -> None:
    assert one_line(text) == line


async def test_direction_marks_are_in_no_title(visitor: Visitor) -> None:
    turn = await visitor.say("".join(f"{mark}a" for mark in MARKS))
    [made] = [e["thread"]["title"] for e in turn.events if e["type"] == "thread.updated"]
    name = "".join(f"b{mark}" for mark in MARKS)
    renamed = await visitor.send("threads.update", thread_id=turn.thread_id, title=name)

    assert made == "a" * len(MARKS)
    assert renamed.json()["title"] == "b" * len(MARKS)


async def test_a_message_gives_a_title_that_is_cut_between_clusters(visitor: Visitor) -> None:
    turn = await visitor.say(FAMILY * 20)
    [title] = [e["thread"]["title"] for e in turn.events if e["type"] == "thread.updated"]

    assert title == f"{FAMILY * 6}..."


async def test_a_name_of_invisible_marks_is_refused(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    response = await visitor.send("threads.update", thread_id=turn.thread_id, title="\u200e\u2060")

    assert response.status_code == 422
