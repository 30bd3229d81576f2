"""esbuild in a folder of the project's own, where npm installs it. Standard library only."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

LISTS = ("package.json", "package-lock.json")
ROOM = Path(__file__).resolve().parent

# Runs a command in a folder, or raises an error of its own.
Run = Callable[[Sequence[str], Path], object]


def installed_esbuild(place: Path, npm: str, run: Run) -> str:
    """The program in `place`; `npm` installs it unless the version is there that is asked for."""
    return find_installed(place) or _install(place, npm, run)


def find_installed(place: Path) -> str | None:
    package = place / "node_modules" / "esbuild" / "package.json"
    if not package.exists() or _read(package)["version"] != _wanted():
        return None
    return shutil.which("esbuild", path=str(place / "node_modules" / ".bin"))


def _wanted() -> object:
    return _read(ROOM / "package.json")["devDependencies"]["esbuild"]


def _install(place: Path, npm: str, run: Run) -> str:
    place.mkdir(parents=True, exist_ok=True)
    for name in LISTS:
        shutil.copyfile(ROOM / name, place / name)
    run((npm, "ci", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline"), place)
    return find_installed(place) or "esbuild"


def _read(file: Path) -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))
    return content
