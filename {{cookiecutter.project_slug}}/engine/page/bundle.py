"""Bundles the page's modules with esbuild: `python -m engine.page.bundle app/page`.

Each module named `main.js` becomes one file, minified, with all that it imports: in the folder
`.built` of the owner's page, at the same path. Modules that the page loads by a name which it hears
later, those of tools, stay apart.

The source map beside a bundle contains its modules as they were. An application that starts compares
them with the present ones: a bundle of other modules is not used.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"
ENTRY = "main.js"
BUILT = ".built"

# The oldest browsers that understand the bundles and the modules themselves. docs/embed.md
# and watch-script.js name them too.
BROWSERS = {"chrome": "120", "edge": "120", "firefox": "128", "safari": "17.2"}
TARGET = ",".join(f"{name}{version}" for name, version in BROWSERS.items())

logger = logging.getLogger(__name__)


class BundlingFailed(Exception):
    """The message of esbuild, or that it is not there."""


def find_esbuild() -> str | None:
    return os.environ.get("ESBUILD") or shutil.which("esbuild")


def bundle(owner: Path, engine: Path, esbuild: str) -> list[Path]:
    """Write the bundles; returns them. A file of the owner's replaces the engine's."""
    target = owner / BUILT
    with tempfile.TemporaryDirectory() as folder:
        static, built = Path(folder, "static"), Path(folder, "built")
        shutil.copytree(engine, static)
        shutil.copytree(owner, static, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        entries = [str(entry) for entry in static.rglob(ENTRY)]
        _run(esbuild, *_options(static, built), *entries)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(built, target)
    return sorted(target.rglob(ENTRY))


def bundles_of(owner: Path, engine: Path) -> Path | None:
    """The folder with the bundles, or None if there are none of the present modules."""
    built = owner / BUILT
    maps = list(built.rglob(f"{ENTRY}.map"))
    changed = next((name for file in maps for name in _changed(file, owner, engine)), None)
    if changed is not None:
        logger.warning(
            "The page's bundle is not used, because %s is newer: run `python3 -m app setup`",
            changed,
        )
    return built if maps and changed is None else None


def _changed(source_map: Path, owner: Path, engine: Path) -> Iterator[str]:
    """The names of modules that are not what the bundle was made of."""
    content = json.loads(source_map.read_text("utf-8"))
    for source, text in zip(content["sources"], content["sourcesContent"], strict=True):
        name = source.rpartition("static/")[2]
        places = (folder / name for folder in (owner, engine))
        file = next((place for place in places if place.is_file()), None)
        if file is None or file.read_text("utf-8") != text:
            yield name


def _options(static: Path, built: Path) -> Iterator[str]:
    yield from ("--bundle", "--minify", "--format=esm", f"--target={TARGET}")
    yield from ("--sourcemap", "--charset=utf8", "--log-level=warning")
    yield from (f"--outbase={static}", f"--outdir={built}")


def _run(esbuild: str, *arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 — the program that setup or the image has installed
            [esbuild, *arguments], capture_output=True, encoding="utf-8", check=False
        )
    except OSError as error:
        raise BundlingFailed(f"{esbuild} cannot be started: {error}") from error
    if done.returncode != 0:
        raise BundlingFailed(done.stderr.strip())


def main(arguments: Sequence[str]) -> int:
    esbuild = find_esbuild()
    if esbuild is None:
        sys.stderr.write("esbuild is not on the PATH: `npm install esbuild` gets it.\n")
        return 1
    for file in bundle(Path(arguments[0]), STATIC, esbuild):
        sys.stdout.write(f"{file}: {file.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
