"""The text of a title: one line, without direction marks, and cut between characters as people
see them (grapheme clusters)."""

import regex

LONGEST_TITLE = 50

# Invisible marks, those that turn the direction of a text among them: after one of these, a title
# in a list may change how its neighbours are read. What joins letters and emoji stays.
_INVISIBLE = regex.compile(
    r"[[\p{Cf}&&\p{Default_Ignorable_Code_Point}]--[\u200c\u200d\U000E0020-\U000E007F]]",
    regex.VERSION1,
)
_BREAKS = regex.compile(r"[\p{Cc}\p{Z}]+")
_VISIBLE = regex.compile(r"[^\p{Z}\p{Default_Ignorable_Code_Point}]")
_CLUSTER = regex.compile(r"\X")


def one_line(text: str) -> str:
    """The text on one line, without invisible marks; empty if nothing in it is visible."""
    line = _BREAKS.sub(" ", _INVISIBLE.sub("", text)).strip()
    return line if _VISIBLE.search(line) else ""


def shortened(text: str) -> str:
    """On one line; cut to 47 characters and an ellipsis when it is longer than 50.

    They are counted as Python does. The cut is between grapheme clusters, so it may be earlier.
    """
    line = one_line(text)
    if len(line) <= LONGEST_TITLE:
        return line
    return f"{_beginning(line, LONGEST_TITLE - 3)}..."


def _beginning(text: str, most: int) -> str:
    end = 0
    for cluster in _CLUSTER.finditer(text):
        if cluster.end() > most:
            break
        end = cluster.end()
    return text[: end or most]  # one letter may carry more marks than a title has room for
