"""The page's bundle, made with esbuild, which npm installs. Standard library only."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from dev.environment import own_environment
from dev.paths import DATA_DIR, PROJECT_ROOT
from dev.steps import Progress, StepFailed, run_command
from engine.page.bundle import STATIC, BundlingFailed, bundle
from engine.page.esbuild import installed_esbuild

PAGE = PROJECT_ROOT / "app" / "page"
PLACE = DATA_DIR / "esbuild"
WITHOUT = "the page's modules are served one by one"


def bundle_page(progress: Progress) -> str:
    """Bundle the page's modules; without npm or the network the page works as well, only slower."""
    npm = shutil.which("npm")
    if npm is None:
        return f"no npm here: {WITHOUT}"

    def run(command: Sequence[str], folder: Path) -> None:
        run_command(command, cwd=folder, env=own_environment(), progress=progress)

    try:
        esbuild = installed_esbuild(PLACE, npm, run)
    except StepFailed as failure:
        return f"npm has not installed esbuild: {WITHOUT} ({str(failure).splitlines()[-1]})"
    try:
        bundles = bundle(PAGE, STATIC, esbuild)
    except BundlingFailed as failure:
        raise StepFailed(f"The page's modules cannot be bundled:\n{failure}") from failure
    return f"{sum(file.stat().st_size for file in bundles) / 1000:.0f} KB"
