"""`.env` from `.env.example`, with secrets of its own, and what it sets. Standard library only."""

import os
import re
import secrets
from pathlib import Path

from engine.settings.env_text import read_env_text

# What the example says above a setting that is to be a secret of this project's own.
_MADE = re.compile(
    r"^# Setup makes one(?:, unless (?P<rival>[A-Z0-9_]+) is set)?\.\n(?P<name>[A-Z0-9_]+)=$", re.M
)
_SETTING = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.M)


def write_env_file(env: Path, example: Path) -> list[str]:
    """Make `env` complete and return the names of the settings it gained.

    Whatever it says already stays as it is, an empty value excepted where a secret belongs.
    A setting that stands uncommented in the example and not in `env` is appended, so a newer
    example completes an older file. Readable by its owner only. Raises `UnreadableEnvFile`.
    """
    template = example.read_text(encoding="utf-8")
    is_new = not env.exists()
    lines = template.splitlines() if is_new else read_env_text(env).splitlines()
    names = _values(lines)
    missing = [one[0] for one in _SETTING.finditer(template) if one["name"] not in names]
    lines += missing
    gained = _fill_secrets(lines, template)
    gained += [name for line in missing if (name := line.partition("=")[0]) not in gained]
    if is_new or gained:
        _write_private(env, "".join(f"{line}\n" for line in lines))
    return gained


def is_set(name: str, env: Path) -> bool:
    """True where the environment or the file, if there is one, gives the setting a value."""
    written = read_env_text(env).splitlines() if env.exists() else []
    settings = [*written, *(f"{key}={value}" for key, value in os.environ.items())]
    has_value = re.compile(rf"{name}\s*=\s*\S", re.IGNORECASE)
    return any(map(has_value.match, settings))


def _fill_secrets(lines: list[str], template: str) -> list[str]:
    """Give those that are empty a value, in `lines` itself; their names."""
    values = _values(lines)
    made = _MADE.finditer(template)
    wanted = {one["name"] for one in made if not values.get(one["rival"] or "")}
    gained = []
    for number, line in enumerate(lines):
        setting = _SETTING.match(line)
        if setting and setting["name"] in wanted and not setting["value"].strip():
            gained.append(setting["name"])
            lines[number] = f"{setting['name']}={secrets.token_urlsafe(32)}"
    return gained


def _values(lines: list[str]) -> dict[str, str]:
    settings = filter(None, map(_SETTING.match, lines))
    return {one["name"]: one["value"].strip() for one in settings}


def _write_private(path: Path, text: str) -> None:
    """Written beside and renamed, so that a full disk or Ctrl-C leaves the old file whole."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    draft.replace(path)
