"""Splits a document into passages, which are short enough for a model's prompt."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PASSAGE_CHARS = 1_500
MAX_HEADING_CHARS = 300
SEPARATOR = " > "


@dataclass(frozen=True)
class Block:
    """A piece of a document. Level 1 to 6 is a heading, level 0 is text below the last heading."""

    text: str
    level: int = 0


@dataclass(frozen=True)
class Passage:
    """`heading` is the path of headings above the text: "Returns > Damaged goods"."""

    heading: str
    text: str


def title_of(blocks: list[Block], otherwise: str) -> str:
    """The first heading, or `otherwise` if there is none."""
    first = next((block.text for block in blocks if block.level), otherwise)
    return " ".join(first.split())[:MAX_HEADING_CHARS]


def passages(blocks: list[Block]) -> list[Passage]:
    """Split the document at headings, and before a passage becomes too long."""
    found: list[Passage] = []
    path: dict[int, str] = {}
    texts: list[str] = []

    def end() -> None:
        if texts:
            found.append(Passage(_heading(path), "\n\n".join(texts)))
            texts.clear()

    for block in blocks:
        if block.level:
            end()
            path = {level: text for level, text in path.items() if level < block.level}
            path[block.level] = " ".join(block.text.split())
            continue
        for piece in _pieces(block.text):
            if sum(map(len, texts)) + len(piece) > PASSAGE_CHARS:
                end()
            texts.append(piece)
    end()
    return found


def _heading(path: dict[int, str]) -> str:
    return SEPARATOR.join(path[level] for level in sorted(path))[:MAX_HEADING_CHARS]


def _pieces(text: str) -> Iterator[str]:
    """Pieces of at most `PASSAGE_CHARS`, cut after a sentence or line, or else after a word."""
    while len(text) > PASSAGE_CHARS:
        head = text[:PASSAGE_CHARS]
        ends = [m.end() for m in re.finditer(r"[.!?]\s|\n", head)] or [head.rfind(" ") + 1]
        cut = ends[-1] if ends[-1] > PASSAGE_CHARS // 2 else PASSAGE_CHARS
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text
