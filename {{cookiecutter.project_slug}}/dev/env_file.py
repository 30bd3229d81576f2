"""`.env` from `.env.example`, with secrets of its own. Standard library only."""

import os
import re
import secrets
from pathlib import Path

from engine.settings.env_text import read_env_text

# What the example says above a setting that is to be a secret of this project's own.
_MADE = re.compile(
    r"^# Setup makes one(?:, unless (?P<rival>[A-Z0-9_]+) is set)?\.\n(?P<name>[A-Z0-9_]+)=$", re.M
)
_SETTING = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$")


def write_env_file(env: Path, example: Path) -> list[str]:
    """Make `env` complete and return the names of the settings it gained.

    Whatever it says already stays as it is, an empty value excepted where a secret belongs.
    A setting that stands uncommented in the example and not in `env` is appended, so a newer
    example completes an older file. Readable by its owner only. Raises `UnreadableEnvFile`.
    """
    template = example.read_text(encoding="utf-8")
    if not env.exists():
        text, gained = _with_secrets(template, template)
        _write_private(env, text)
        return gained
    current = read_env_text(env)
    missing = [line for line in template.splitlines() if _is_missing(line, current)]
    complete = "".join(f"{line}\n" for line in [*current.splitlines(), *missing])
    text, gained = _with_secrets(complete, template)
    gained += [name for line in missing if (name := line.partition("=")[0]) not in gained]
    if gained:
        _write_private(env, text)
    return gained


def _with_secrets(text: str, template: str) -> tuple[str, list[str]]:
    wanted = {
        made["name"]
        for made in _MADE.finditer(template)
        if made["rival"] is None or not _has_value(text, made["rival"])
    }
    gained: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        setting = _SETTING.match(line)
        if setting and setting["name"] in wanted and not setting["value"].strip():
            gained.append(setting["name"])
            line = f"{setting['name']}={secrets.token_urlsafe(32)}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines), gained


def _names(text: str) -> list[str]:
    return [match["name"] for match in map(_SETTING.match, text.splitlines()) if match]


def _has_value(text: str, name: str) -> bool:
    settings = filter(None, map(_SETTING.match, text.splitlines()))
    return any(s["name"] == name and s["value"].strip() for s in settings)


def _is_missing(line: str, current: str) -> bool:
    setting = _SETTING.match(line)
    return setting is not None and setting["name"] not in _names(current)


def _write_private(path: Path, text: str) -> None:
    """Written beside and renamed, so that a full disk or Ctrl-C leaves the old file whole."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    draft.replace(path)
