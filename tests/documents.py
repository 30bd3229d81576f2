"""Reads the Markdown of this repository and of projects: links, headings, commands."""

import re
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.M | re.S)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.M)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
# A comment after a command, or a line of nothing else.
COMMENT = re.compile(r"(?:^|\s+)#(?=\s).*$")


def dead_links(file: Path) -> list[str]:
    """Links of a page to files and headings that do not exist."""
    text = file.read_text(encoding="utf-8")
    targets = [inline or defined for inline, defined in LINK.findall(FENCE.sub("", text))]
    return [target for target in targets if "://" not in target and not leads(file, target)]


def leads(file: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    found = (file.parent / name) if name else file
    if not found.exists():
        return False
    return not anchor or anchor in anchors(found.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", text))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def commands(text: str) -> list[str]:
    """The commands of all `sh` blocks, each on one line and without its comment."""
    return [line for block in shell_blocks(text) for line in lines_of(block)]


def shell_blocks(text: str) -> Iterator[str]:
    for _, language, block in FENCE.findall(text):
        if language == "sh":
            yield block


def lines_of(block: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", block)
    return [line for raw in joined.splitlines() if (line := COMMENT.sub("", raw).strip())]


def table_commands(text: str) -> list[str]:
    """The commands in the first column of tables, and in the second of those for assistants."""
    spans = re.findall(r"^\| (.+?) \|", text, re.M)
    return [code for span in spans for code in re.findall(r"`([^`]+)`", span) if " " in code]
