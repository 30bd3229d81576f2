"""The page's bundle, as setup makes it."""

import io
import json
import shutil
from pathlib import Path

import pytest

from dev import page
from dev.steps import Progress, StepFailed
from engine.page.bundle import BUILT, STATIC

QUIET = Progress("", io.StringIO())

# Programs that setup starts: npm, which installs esbuild, and esbuild, which fails if it is told to.
NPM = """#!/bin/sh
[ -z "$NPM_FAILS" ] || { echo 'npm error network' >&2; exit 1; }
mkdir -p node_modules/.bin node_modules/esbuild
echo '{"version": "%s"}' > node_modules/esbuild/package.json
cp %s node_modules/.bin/esbuild
echo installed >> installed.txt
"""
ESBUILD = """#!/bin/sh
[ -z "$ESBUILD_FAILS" ] || { echo 'Could not resolve "./nowhere.js"' >&2; exit 1; }
for last; do :; done
for word; do case $word in --outdir=*) out=${word#--outdir=} ;; esac; done
mkdir -p "$out/js" && echo bundled > "$out/js/main.js"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of an owner's, with an npm that installs an esbuild."""
    own = tmp_path / "page"
    own.mkdir()
    version = json.loads((STATIC.parent / "package.json").read_text("utf-8"))
    esbuild = program(tmp_path / "esbuild", ESBUILD)
    npm = NPM % (version["devDependencies"]["esbuild"], esbuild)
    program(tmp_path / "bin" / "npm", npm)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(page, "PAGE", own)
    monkeypatch.setattr(page, "PLACE", tmp_path / "place")
    return own


def program(file: Path, script: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(script, encoding="utf-8")
    file.chmod(0o755)
    return file


def test_the_page_is_bundled_with_an_esbuild_that_is_installed_once(folder: Path) -> None:
    said = [page.bundle_page(QUIET) for _ in range(2)]

    assert (folder / BUILT / "js" / "main.js").read_text() == "bundled\n"
    assert said == ["0 KB", "0 KB"]
    assert (page.PLACE / "installed.txt").read_text() == "installed\n"


def test_another_version_is_replaced(folder: Path) -> None:
    page.bundle_page(QUIET)
    (page.PLACE / "node_modules" / "esbuild" / "package.json").write_text('{"version": "0.1.0"}')

    page.bundle_page(QUIET)

    assert (page.PLACE / "installed.txt").read_text() == "installed\n" * 2


def test_without_npm_the_modules_are_served_one_by_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, **_: None)

    assert page.bundle_page(QUIET) == f"no npm here: {page.WITHOUT}"
    assert not (folder / BUILT).exists()


def test_without_a_network_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_FAILS", "yes")

    note = page.bundle_page(QUIET)

    assert page.WITHOUT in note
    assert "npm error network" in note


def test_modules_that_cannot_be_bundled_stop_setup(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESBUILD_FAILS", "yes")

    with pytest.raises(StepFailed, match=r"nowhere\.js"):
        page.bundle_page(QUIET)
