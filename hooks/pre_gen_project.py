"""Checks the answers: lists all invalid ones together before anything is written.

Then it prints the command that repeats the generation, with a place for each invalid answer.

This file must not contain anything that looks like Jinja's default tags, because an old Cookiecutter
renders it with those before its version is refused here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
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

# Tools that do not work with this answer to a later question.
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
    found = without_text(answers, given) or (
        problems(answers, os.environ.get("CHATKIT_SETUP")) + replay_problems(answers, given)
    )
    if not found:
        return
    words = command_line()
    options = {"template": answers.get("_template"), "output_dir": answers.get("_output_dir")}
    asked = {name: text for name, text in answers.items() if not name.startswith("_")}
    command = repetition(options | words | {"no_input": True}, asked, refused_in(found), answers)
    remove_copy(answers.get("_repo_dir"))
    tell([*found, *command])
    # A shell starts what is in the background with interrupts ignored, and that is inherited.
    if words and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # Cookiecutter prints a traceback after a hook that fails, and none when it is interrupted.
        # It then does not delete the project's folder, which is still empty.
        forget(Path.cwd())
        os.kill(os.getppid(), signal.SIGINT)
    sys.exit(1)


def refuse(found: list[str], command: Sequence[str] = ()) -> None:
    if found:
        tell([*found, *command])
        sys.exit(1)


def tell(lines: list[str]) -> None:
    for line in lines:
        print(printable(line), file=sys.stderr)


def printable(line: str) -> str:
    encoding = sys.stderr.encoding or "ascii"
    return line.encode(encoding, "backslashreplace").decode(encoding)


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
    if not text.strip() or text == f"<{question}>":
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
        refusal(question, answers[question], f"another answer; the tool {tool} needs one")
        for tool, (question, without) in NEEDS.items()
        if tool in chosen and answers[question] == without
    ]


def refusal(question: str, given: object, allowed: str) -> str:
    return f"{question}: {given!r} cannot be used. Allowed: {allowed}."


def refused_in(found: list[str]) -> set[str]:
    """The questions that these lines begin with."""
    return {line.partition(":")[0] for line in found}


def repetition(
    words: dict[str, Any], given: dict[str, Any], refused: set[str], known: dict[str, Any]
) -> list[str]:
    """The command that repeats the generation with all answers.

    `words` are options of Cookiecutter's command line, `known` has the lists of tools and languages.
    """
    lists = {"agent_tools": known["_tools"], "languages": known["_languages"]}
    answers = [
        f"{name}={place(name, text, lists.get(name)) if name in refused else text}"
        for name, text in given.items()
    ]
    options = [option for name, option in SWITCHES.items() if words.get(name)]
    for name, option in OPTIONS.items():
        if words.get(name) not in (None, "."):
            options += [option, str(words[name])]
    command = [str(words.get("template") or "gh:org/repo"), *options, *answers]
    return [
        "",
        "To repeat it with all answers, write others in the places in < >:",
        "",
        f"{words.get('program') or 'cookiecutter'} {' '.join(map(quoted, command))}",
        "",
    ]


SWITCHES = {
    "no_input": "--no-input",
    "default_config": "--default-config",
    "overwrite_if_exists": "--overwrite-if-exists",
    "skip_if_file_exists": "--skip-if-file-exists",
    "keep_project_on_failure": "--keep-project-on-failure",
}
OPTIONS = {"checkout": "--checkout", "directory": "--directory", "output_dir": "--output-dir"}


def place(question: str, answer: object, known: list[str] | None) -> str:
    """The part of the answer that is valid, and a place for the rest."""
    parts = answer if isinstance(answer, list) else str(answer).split(",")
    valid = [part.strip() for part in map(str, parts) if part.strip() in (known or ())]
    is_valid = isinstance(answer, list) and len(valid) == len(parts)
    return ",".join(valid if is_valid else [*valid, f"<{question}>"])


def quoted(word: str) -> str:
    """In quotes for a POSIX shell, or on Windows for PowerShell."""
    if os.name != "nt":
        return shlex.quote(word)
    return word if re.fullmatch(r"[\w./:\\=-]+", word) else "'" + word.replace("'", "''") + "'"


def command_line() -> dict[str, Any]:
    """Cookiecutter's command line, parsed by its own parser. Empty if it cannot be read.

    Cookiecutter does not pass it to hooks, and drops choices that do not exist before they see them.
    `program` is how it was started.
    """
    words = parent_words()
    number = next(
        (i for i, word in enumerate(words[:4]) if Path(word).stem == "cookiecutter"), None
    )
    if number is None:
        return {}
    try:
        from cookiecutter.cli import main as command

        context = command.make_context("cookiecutter", words[number + 1 :], resilient_parsing=True)
    except Exception:
        return {}
    return dict(context.params) | {"program": program(words[: number + 1])}


def program(words: list[str]) -> str:
    """The command that starts Cookiecutter as it was started, by uv, by pipx or itself."""
    path = Path(words[-1])
    if any(part.startswith(("archive-v", "environments-v")) for part in path.parts):
        return "uvx cookiecutter"  # these are folders of uv's cache
    if "pipx" in path.parts and not shutil.which("cookiecutter"):
        return "pipx run cookiecutter"
    if shutil.which("cookiecutter") == str(path):
        return "cookiecutter"
    return " ".join(map(quoted, words[-1:] if os.access(path, os.X_OK) else words))


def parent_words() -> list[str]:
    parent = os.getppid()
    try:
        words = Path(f"/proc/{parent}/cmdline").read_bytes()
        return [os.fsdecode(word) for word in words.split(b"\0")[:-1]]
    except OSError:
        ps = shutil.which("ps")
    if ps is None:
        return []
    listed = subprocess.run(
        [ps, "-ww", "-o", "command=", "-p", str(parent)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    try:
        return shlex.split(listed.stdout)
    except ValueError:
        return []


def remove_copy(repository: str | None) -> None:
    """Cookiecutter copies a template with pre-prompt hooks, and leaves the copy after a failure."""
    if repository is None:
        return
    copy = Path(repository).resolve().parent
    temporary = Path(tempfile.gettempdir()).resolve()
    if copy.parent == temporary and copy.name.startswith("cookiecutter"):
        shutil.rmtree(copy, ignore_errors=True)


def forget(project: Path) -> None:
    """Delete the empty folder of a project that is not written, and this script, a temporary file."""
    script = Path(__file__)
    if script.resolve().parent == Path(tempfile.gettempdir()).resolve():
        script.unlink(missing_ok=True)
    if not any(project.iterdir()):
        project.rmdir()


if __name__ == "__main__":
    main()
