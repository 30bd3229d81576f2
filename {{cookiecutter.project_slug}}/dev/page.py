"""The page's bundle, made with esbuild, which npm installs. Standard library only."""

import json
import shutil
from pathlib import Path

from dev.environment import own_environment
from dev.paths import DATA_DIR, PROJECT_ROOT
from dev.steps import Progress, StepFailed, run_command
from engine.page.bundle import STATIC, BundlingFailed, bundle

PAGE = PROJECT_ROOT / "app" / "page"
PLACE = DATA_DIR / "esbuild"
LISTS = ("package.json", "package-lock.json")
WITHOUT = "the page's modules are served one by one"


def bundle_page(progress: Progress) -> str:
    """Bundle the page's modules; without npm or the network the page works as well, only slower."""
    npm = shutil.which("npm")
    if npm is None:
        return f"no npm here: {WITHOUT}"
    try:
        esbuild = find_esbuild() or _install(npm, progress)
    except StepFailed as failure:
        return f"npm has not installed esbuild: {WITHOUT} ({str(failure).splitlines()[-1]})"
    try:
        bundles = bundle(PAGE, STATIC, esbuild)
    except BundlingFailed as failure:
        raise StepFailed(f"The page's modules cannot be bundled:\n{failure}") from failure
    return f"{sum(file.stat().st_size for file in bundles) / 1000:.0f} KB"


def find_esbuild() -> str | None:
    """esbuild of the version that is asked for, in `.data/`."""
    installed = PLACE / "node_modules" / "esbuild" / "package.json"
    if not installed.exists() or _read(installed)["version"] != _wanted():
        return None
    return shutil.which("esbuild", path=str(PLACE / "node_modules" / ".bin"))


def _wanted() -> object:
    return _read(STATIC.parent / "package.json")["devDependencies"]["esbuild"]


def _install(npm: str, progress: Progress) -> str:
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in LISTS:
        shutil.copyfile(STATIC.parent / name, PLACE / name)
    quietly = ("--no-audit", "--no-fund", "--prefer-offline")
    command = (npm, "ci", "--include=dev", *quietly)
    run_command(command, cwd=PLACE, env=own_environment(), progress=progress)
    return find_esbuild() or "esbuild"


def _read(file: Path) -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))
    return content
