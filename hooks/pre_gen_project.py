"""Checks the answers: lists all invalid ones together before anything is written.

This file must not contain anything that looks like Jinja's default tags, because an old Cookiecutter
renders it with those before its version is refused here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# A raw string can hold any JSON, because JSON has no unescaped triple quotes.
ANSWERS = r"""{{ cookiecutter | tojson }}"""
# The unanswered questions, with values of a configuration file.
GIVEN = r"""{{ _cookiecutter | default({}) | tojson }}"""

# The oldest version that uses the template's own tags in files and hooks.
OLDEST_COOKIECUTTER = (2, 6)

POSTGRESQL_NAME_BYTES = 63
# A test compares this with the application's metadata.
LONGEST_NAME = "feedback_user_id_thread_id_item_id_fkey"
PREFIX_LENGTH = POSTGRESQL_NAME_BYTES - len(LONGEST_NAME)

FREE_TEXTS = ("project_name", "author_name", "assistant_name")
FREE_TEXT_LENGTH = 200
SETUPS = ("run", "skip", "strict")
# The same as in cookiecutter.json. Only a replay can contain another answer.
CHOICES = {
    "license": ("MIT", "Apache-2.0", "none"),
    "auth_style": ("anonymous", "password", "oidc", "jwt", "proxy"),
    "attachments": ("none", "local", "s3"),
    "dictation": ("no", "yes"),
    "host_page": ("plain", "nextjs"),
    "launcher": ("no", "yes"),
    "deploy": ("compose", "kubernetes", "none"),
    "theme_color_scheme": ("auto", "light", "dark"),
    "setup": SETUPS,
}
IN_QUOTES = "text; in a configuration file, as text in quotes"

# Tools that do not work with this answer to another question.
NEEDS = {"documents": ("attachments", "none"), "image": ("attachments", "none")}

SHAPES = {
    "project_slug": (
        r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?",
        "lower-case letters, digits, - and _, with a letter or digit at both ends, at most 64",
    ),
    "table_prefix": (
        r"[a-z_][a-z0-9_]*",
        "an SQL identifier: lower-case letters, digits and _, not beginning with a digit",
    ),
    "model": (
        r"(?!litellm/(?!.*[^/]/[^/]))[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}",
        "a model's name: letters, digits and . _ : / @ + -, or litellm/<provider>/<model>",
    ),
    "theme_accent": (
        r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})",
        "a hex colour such as #2563eb",
    ),
}
WINDOWS_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def main() -> None:
    refuse(too_old())
    answers, given = json.loads(ANSWERS), json.loads(GIVEN)
    refuse(without_text(answers, given))
    refuse(problems(answers, os.environ.get("CHATKIT_SETUP")) + replay_problems(answers, given))


def refuse(found: list[str]) -> None:
    for line in found:
        print(line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    if found:
        sys.exit(1)


def too_old() -> list[str]:
    try:
        here = version("cookiecutter")
    except PackageNotFoundError:
        return []
    if tuple(map(int, re.findall("[0-9]+", here)[:2])) >= OLDEST_COOKIECUTTER:
        return []
    oldest = ".".join(map(str, OLDEST_COOKIECUTTER))
    return [
        f"This template needs Cookiecutter {oldest} or newer, and this is {here}. "
        "Run a newer one with: uvx cookiecutter, or: pipx run cookiecutter"
    ]


def without_text(answers: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """One line for each answer that is or was not text; Cookiecutter keeps only the first of a list."""
    return [
        refusal(question, value, IN_QUOTES)
        for question, answer in answers.items()
        if not question.startswith("_")
        for value in [answer if question in CHOICES else given.get(question, answer)]
        if not isinstance(value, str)
    ]


def replay_problems(answers: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """Check a replay, which also contains values computed from its answers, and the template's lists."""
    is_replay = isinstance(given.get("auth_style"), str)
    if not is_replay or "_repo_dir" not in answers:
        return []
    from cookiecutter.prompt import render_variable
    from cookiecutter.utils import create_env_with_context

    file = Path(answers["_repo_dir"], "cookiecutter.json")
    questions = json.loads(file.read_text(encoding="utf-8"))
    environment = create_env_with_context({"cookiecutter": questions})
    stale = [
        name
        for name, value in questions.items()
        if name.startswith("_") and name != "__prompts__"
        if answers[name]
        != (render_variable(environment, value, answers) if name.startswith("__") else value)
    ]
    return [
        f"{name}: the replay has it from other answers, or from another version of the template. "
        "Use --config-file with the answers instead of --replay."
        for name in stale
    ]


def problems(answers: dict[str, Any], setup: str | None) -> list[str]:
    """One line for each invalid answer, with its value and the allowed values."""
    found = [
        refusal(question, answers[question], allowed)
        for question, (shape, allowed) in SHAPES.items()
        if not re.fullmatch(shape, answers[question])
    ]
    found += [
        refusal(question, answers[question], ", ".join(allowed))
        for question, allowed in CHOICES.items()
        if answers[question] not in allowed
    ]
    if WINDOWS_DEVICES.fullmatch(answers["project_slug"]):
        found.append(
            refusal("project_slug", answers["project_slug"], "a name that is not a Windows device")
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
    found += language_problems(answers["languages"], answers["_languages"])
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
    # Cookiecutter and cruft render a stored answer as a template.
    if re.search(r"\{[%#{]", text):
        return [refusal(question, text, "any text without Jinja's opening braces")]
    return []


def tool_problems(answer: str, known: list[str]) -> list[str]:
    if answer.strip() in {"all", "none"}:
        return []
    chosen = [name.strip() for name in answer.split(",")]
    allowed = f"{', '.join(known)}, comma-separated, or all or none alone"
    return [refusal("agent_tools", name, allowed) for name in chosen if name and name not in known]


def language_problems(answer: str, known: list[str]) -> list[str]:
    chosen = [code.strip() for code in answer.split(",")]
    allowed = f"{', '.join(known)}, comma-separated (English is always there)"
    return [refusal("languages", code, allowed) for code in chosen if code and code not in known]


def needs_problems(answers: dict[str, Any]) -> list[str]:
    """`all` means all tools that work with the other answers; named tools must work with them."""
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
