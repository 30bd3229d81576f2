"""The text of a title: one line, without direction marks, cut between grapheme clusters."""

import regex

MAX_TITLE_CHARS = 50

# Invisible characters, direction marks among them: in a list of titles, a direction mark would
# change how the titles beside it are displayed. Joiners of letters and emoji are kept.
_INVISIBLE = regex.compile(
    r"[[\p{Cf}&&\p{Default_Ignorable_Code_Point}]--[\u200c\u200d\U000E0020-\U000E007F]]",
    regex.VERSION1,
)
_BREAKS = regex.compile(r"[\p{Cc}\p{Z}]+")
_VISIBLE = regex.compile(r"[^\p{Z}\p{Default_Ignorable_Code_Point}]")
_CLUSTER = regex.compile(r"\X")


def one_line(text: str) -> str:
    """The text on one line, without invisible characters; empty if nothing in it is visible."""
    line = _BREAKS.sub(" ", _INVISIBLE.sub("", text)).strip()
    return line if _VISIBLE.search(line) else ""


def shortened(text: str) -> str:
    """The text on one line; if longer than 50 characters, cut to 47 and an ellipsis.

    Characters are Unicode code points. The cut is between grapheme clusters, so it may be earlier.
    """
    line = one_line(text)
    if len(line) <= MAX_TITLE_CHARS:
        return line
    return f"{_whole_clusters(line, MAX_TITLE_CHARS - 3)}..."


def _whole_clusters(text: str, limit: int) -> str:
    end = 0
    for cluster in _CLUSTER.finditer(text):
        if cluster.end() > limit:
            break
        end = cluster.end()
    return text[: end or limit]  # a single cluster may be longer than the limit
