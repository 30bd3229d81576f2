"""A document becomes passages: short enough to be handed to a model, long enough to make sense."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PASSAGE_CHARS = 1_500
MAX_HEADING_CHARS = 300
SEPARATOR = " > "


@dataclass(frozen=True)
class Block:
    """A piece of a document. Level 1 to 6 is a heading, 0 a text below the last one."""

    text: str
    level: int = 0


@dataclass(frozen=True)
class Passage:
    """`heading` is the way to it through the document: "Returns > Damaged goods"."""

    heading: str
    text: str


def title_of(blocks: list[Block], otherwise: str) -> str:
    """The first heading, which most documents begin with."""
    first = next((block.text for block in blocks if block.level), otherwise)
    return " ".join(first.split())[:MAX_HEADING_CHARS]


def passages(blocks: list[Block]) -> list[Passage]:
    """A passage ends where a heading begins, and before it gets too long."""
    found: list[Passage] = []
    way: dict[int, str] = {}
    texts: list[str] = []

    def end() -> None:
        if texts:
            found.append(Passage(_heading(way), "\n\n".join(texts)))
            texts.clear()

    for block in blocks:
        if block.level:
            end()
            way = {level: text for level, text in way.items() if level < block.level}
            way[block.level] = " ".join(block.text.split())
            continue
        for piece in _pieces(block.text):
            if sum(map(len, texts)) + len(piece) > PASSAGE_CHARS:
                end()
            texts.append(piece)
    end()
    return found


def _heading(way: dict[int, str]) -> str:
    return SEPARATOR.join(way[level] for level in sorted(way))[:MAX_HEADING_CHARS]


def _pieces(text: str) -> Iterator[str]:
    """At most `PASSAGE_CHARS` each, cut at the end of a sentence or line, or else of a word."""
    while len(text) > PASSAGE_CHARS:
        head = text[:PASSAGE_CHARS]
        ends = [m.end() for m in re.finditer(r"[.!?]\s|\n", head)] or [head.rfind(" ") + 1]
        cut = ends[-1] if ends[-1] > PASSAGE_CHARS // 2 else PASSAGE_CHARS
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text
