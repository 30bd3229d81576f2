"""Says what this machine lacks, before the first question. Silent when nothing is missing.

None of it is fatal: files are always written, and `python3 -m app setup` goes on later. Refused are
an old Cookiecutter, a home folder that it cannot write to, and answers on its command line or in its
configuration that cannot work. (Here no traceback follows, as it does after later hooks; and some
such answers Cookiecutter itself would drop with a warning.)
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    pre_gen = Path(__file__).with_name("pre_gen_project.py")
    checks = runpy.run_path(str(pre_gen), run_name="checks")
    words = checks["command_line"]()
    try:
        checks["refuse"](checks["too_old"]())
        for line in lacks():
            print(f"Note: {line}")
        checks["refuse"](home_problems(words))
        checks["refuse"](*given_problems(checks, words))
    except SystemExit:
        checks["remove_copy"](str(Path.cwd()))
        raise


def home_problems(words: dict[str, Any]) -> list[str]:
    """Cookiecutter would end in a traceback where it cannot keep the answers for a replay."""
    from cookiecutter.config import get_user_config

    try:
        config = get_user_config(named_file(words), bool(words.get("default_config")))
    except Exception:
        return []  # Cookiecutter says what is wrong with it
    try:
        Path(config["replay_dir"]).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [
            f"{config['replay_dir']}, where Cookiecutter keeps answers, cannot be made "
            f"({error.strerror}). Set HOME to a folder that can be written."
        ]
    return []


def given_problems(checks: dict[str, Any], words: dict[str, Any]) -> tuple[list[str], list[str]]:
    """One line for each answer that was given in advance and cannot be used, and the way on."""
    if words.get("replay") or words.get("replay_file"):
        return [], []
    questions = json.loads(Path("cookiecutter.json").read_text(encoding="utf-8"))
    configured, file = configuration(words)
    extra = words.get("extra_context") or {}
    found = misspelt(configured, questions, file) + unknown(extra, questions)
    usable = []
    for answers, origin in ((configured, f" ({file})"), (extra, "")):
        bad = {name: value for name, value in answers.items() if is_lost(questions, name, value)}
        found += [
            checks["refusal"](name, bad[name], allowed(questions[name])) + origin for name in bad
        ]
        usable.append({name: value for name, value in answers.items() if name not in bad})
    given = {name: text for name, text in (configured | extra).items() if is_asked(questions, name)}
    if words.get("no_input"):
        answers = resolved(*usable)
        found += checks["problems"](answers, os.environ.get("CHATKIT_SETUP"))
        given = {name: text for name, text in answers.items() if is_asked(questions, name)} | given
    refused = checks["refused_in"](found)
    if "project_name" in refused and "project_slug" not in configured | extra:
        given.pop("project_slug", None)
    # The command has the answers of the file, which may be invalid.
    again = words | {"default_config": bool(file or words.get("default_config"))}
    return found, checks["repetition"](again, given, refused, questions)


def is_asked(questions: dict[str, Any], name: str) -> bool:
    return name in questions and not name.startswith("_")


def is_lost(questions: dict[str, Any], name: str, value: object) -> bool:
    """True for an answer that Cookiecutter would silently change or ignore."""
    question = None if name.startswith("_") else questions.get(name)
    if isinstance(question, list):
        return value not in question
    return isinstance(question, str) and not isinstance(value, str)


def allowed(question: object) -> str:
    choices = ", ".join(question) if isinstance(question, list) else "text"
    return f"{choices}; in a configuration file, as text in quotes"


def resolved(configured: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """All answers. With --no-input they are known before the questions."""
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import prompt_for_config

    context = generate_context("cookiecutter.json", configured, extra)
    return dict(prompt_for_config(context, no_input=True))


def unknown(answers: dict[str, Any], questions: dict[str, Any]) -> list[str]:
    names = ", ".join(name for name in questions if not name.startswith("_"))
    return [
        f"{name}: there is no such question. There are: {names}."
        for name in answers
        if name not in questions
    ]


def misspelt(answers: dict[str, Any], questions: dict[str, Any], file: str) -> list[str]:
    """Names in a configuration file that are close to one of our questions.

    Others are no error: the file may hold answers for other templates as well.
    """
    close = {name: difflib.get_close_matches(name, questions, 1, 0.85) for name in answers}
    return [
        f"{name}: there is no such question ({file}). Is {match[0]} meant?"
        for name, match in close.items()
        if match and name not in questions
    ]


def configuration(words: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The answers of Cookiecutter's configuration file, and its name.

    One that lies at home and was not named for this project counts only where nobody is asked.
    """
    from cookiecutter.config import USER_CONFIG_PATH, get_user_config

    named = named_file(words)
    if words.get("default_config") or not (named or words.get("no_input")):
        return {}, ""
    file = Path(named or USER_CONFIG_PATH)
    if not file.is_file():
        return {}, ""
    try:
        answers = get_user_config(config_file=str(file))["default_context"]
    except Exception:
        return {}, ""  # Cookiecutter says what is wrong with it
    return (dict(answers), str(file)) if isinstance(answers, dict) else ({}, "")


def named_file(words: dict[str, Any]) -> str | None:
    """The configuration file that was named, relative to where the command was started.

    (Cookiecutter has changed the working directory by now.)
    """
    named = words.get("config_file") or os.environ.get("COOKIECUTTER_CONFIG")
    return os.path.join(os.environ.get("PWD", ""), named) if named else None


def lacks() -> list[str]:
    """One line for each thing that is missing: what, and what it means for the new project."""
    lines = []
    if sys.version_info < (3, 11):
        have = ".".join(map(str, sys.version_info[:3]))
        lines.append(
            f"this is Python {have}. The project needs 3.11 or newer: it will be written, but "
            "setting it up has to wait for one."
        )
    if shutil.which("git") is None:
        lines.append("git is not on the PATH. The project will be written without a repository.")
    if shutil.which("uv") is None and importlib.util.find_spec("venv") is None:
        lines.append(
            "neither uv nor Python's venv module is here. The project will be written, but "
            "setting it up has to wait for one of them."
        )
    return lines


if __name__ == "__main__":
    main()
