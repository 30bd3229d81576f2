"""Refuses answers that cannot work, all of them at once, before a file is written."""

import json
import os
import re
import sys
import unicodedata
from typing import Any

# JSON inside a raw string stands whatever was answered: each of its quotes is escaped or alone.
ANSWERS: dict[str, Any] = json.loads(r"""{{ cookiecutter | tojson }}""")

POSTGRESQL_NAME_BYTES = 63
# A test reads the longest one from the application's own metadata.
LONGEST_NAME = "feedback_user_id_thread_id_item_id_fkey"
PREFIX_LENGTH = POSTGRESQL_NAME_BYTES - len(LONGEST_NAME)

FREE_TEXTS = ("project_name", "description", "author_name", "assistant_name")
FREE_TEXT_LENGTH = 200
SETUPS = ("run", "skip", "strict")

# Tools that work with another answer than this one only.
NEEDS = {"documents": ("attachments", "none"), "image": ("attachments", "none")}

SHAPES = {
    "project_slug": (
        r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?",
        "lower-case letters, digits, - and _, a letter or digit at both ends, at most 64",
    ),
    "table_prefix": (
        r"[a-z_][a-z0-9_]*",
        "an SQL identifier: lower-case letters, digits and _, not beginning with a digit",
    ),
    "model": (
        r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}",
        "a model's name: letters, digits and . _ : / @ + -",
    ),
    "theme_accent": (
        r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})",
        "a hex colour such as #2563eb",
    ),
}
WINDOWS_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def main() -> None:
    found = problems(ANSWERS, os.environ.get("CHATKIT_SETUP"))
    for line in found:
        print(line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    sys.exit(1 if found else 0)


def problems(answers: dict[str, Any], setup: str | None) -> list[str]:
    """One line for each bad answer, naming what was given and what is allowed."""
    found = [
        refusal(question, answers[question], allowed)
        for question, (shape, allowed) in SHAPES.items()
        if not re.fullmatch(shape, answers[question])
    ]
    if WINDOWS_DEVICES.fullmatch(answers["project_slug"]):
        found.append(
            refusal("project_slug", answers["project_slug"], "any name but a Windows device's")
        )
    if len(answers["table_prefix"]) > PREFIX_LENGTH:
        allowed = (
            f"at most {PREFIX_LENGTH} characters, as PostgreSQL's names have at most "
            f"{POSTGRESQL_NAME_BYTES} bytes and the longest here ends in {LONGEST_NAME}"
        )
        found.append(refusal("table_prefix", answers["table_prefix"], allowed))
    for question in FREE_TEXTS:
        found += free_text_problems(question, answers[question])
    found += tool_problems(answers["agent_tools"], answers["_tools"])
    found += needs_problems(answers)
    if setup not in (None, *SETUPS):
        found.append(refusal("CHATKIT_SETUP (environment)", setup, ", ".join(SETUPS)))
    return found


def free_text_problems(question: str, text: str) -> list[str]:
    if not text.strip():
        return [refusal(question, text, "any text that is not blank")]
    if len(text) > FREE_TEXT_LENGTH:
        return [refusal(question, text, f"at most {FREE_TEXT_LENGTH} characters")]
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text):
        return [refusal(question, text, "one line of text without control characters")]
    # Cookiecutter and cruft evaluate an answer that they are given again.
    if re.search(r"\{[{%#]", text):
        return [refusal(question, text, "any text without Jinja's opening braces")]
    return []


def tool_problems(answer: str, known: list[str]) -> list[str]:
    if answer.strip() in {"all", "none"}:
        return []
    chosen = [name.strip() for name in answer.split(",")]
    allowed = f"{', '.join(known)}, comma-separated, or all or none alone"
    return [refusal("agent_tools", name, allowed) for name in chosen if name and name not in known]


def needs_problems(answers: dict[str, Any]) -> list[str]:
    """`all` means all that work with the other answers; a tool that is named has to."""
    chosen = {name.strip() for name in answers["agent_tools"].split(",")}
    return [
        refusal("agent_tools", tool, f"with another answer than {without!r} to {question}")
        for tool, (question, without) in NEEDS.items()
        if tool in chosen and answers[question] == without
    ]


def refusal(question: str, given: object, allowed: str) -> str:
    return f"{question}: {given!r} cannot be used. Allowed: {allowed}."


if __name__ == "__main__":
    main()
