"""Thoughts that a model writes into its text."""

import pytest

from engine.models.think_tags import ThoughtFilter, without_thoughts

TEXTS = {
    "<think>\nLet me see.\n</think>\n\nRome.": "Rome.",
    "\n <think>a</think>Rome.": "Rome.",
    "<thinking>a < b </think> c</thinking> Rome.": "Rome.",
    "<thought>a</thought>Rome.": "Rome.",
    "<think>a</think>\n<think>b</think>\nRome.": "Rome.",
    "<think></think>Rome.": "Rome.",
    "</think>\n\nRome.": "Rome.",
    "<think>never closed": "",
    "<think>cut in its closing </thi": "",
    "  Rome.\n": "  Rome.\n",
    "Models write <think>a</think> first.": "Models write <think>a</think> first.",
    "`<think>` is a tag, `</think>` ends it.": "`<think>` is a tag, `</think>` ends it.",
    "```\n<think>\na\n</think>\n```": "```\n<think>\na\n</think>\n```",
    "<thin": "<thin",
    "<b>Rome</b>": "<b>Rome</b>",
    "<think>a</think>Say <think>.": "Say <think>.",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1_000])
def test_deltas_of_any_size_give_the_visible_text(text: str, size: int) -> None:
    thoughts = ThoughtFilter()
    deltas = [text[start : start + size] for start in range(0, len(text), size)]

    visible = "".join(thoughts.feed(delta) for delta in deltas) + thoughts.finish()

    assert visible == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_a_whole_text_gives_the_same(text: str) -> None:
    assert without_thoughts(text) == TEXTS[text]


def test_text_is_passed_on_at_once() -> None:
    thoughts = ThoughtFilter()

    assert [thoughts.feed(delta) for delta in ("R", "o", " <think>")] == ["R", "o", " <think>"]


def test_it_says_whether_the_thought_goes_on() -> None:
    thoughts = ThoughtFilter()
    states = [(thoughts.feed(delta), thoughts.is_thinking) for delta in ("<think>a", "</think>b")]

    assert states == [("", True), ("b", False)]


def test_a_long_thought_takes_no_memory() -> None:
    thoughts = ThoughtFilter()
    thoughts.feed("<think>" + "x" * 1_000_000)

    assert len(thoughts._held) < len("</think>")


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("The user wants a city.\n</think>\n\nRome.", "Rome."),
        ("Let me see.\nYes.\n  </thinking>  \nRome.", "Rome."),
        ("It ends with </think> then.", "It ends with </think> then."),
        ("Like this:\n<think>\na\n</think>\nRome.", "Like this:\n<think>\na\n</think>\nRome."),
    ],
)
def test_a_thought_without_its_opening_tag_ends_alone_on_a_line(text: str, visible: str) -> None:
    assert without_thoughts(text) == visible
