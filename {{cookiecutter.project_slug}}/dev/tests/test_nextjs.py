import json
import os
import time
from pathlib import Path

import pytest

from dev import nextjs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are scripts")

NODE = """
if [ "$1" = --version ]; then echo "$NODE_VERSION"; exit; fi
echo "$BACKEND_URL $*" > started
trap 'echo > stopped; exit' TERM
while :; do sleep 0.05; done
"""
NPM = 'echo "$*" > npm-was-told; mkdir -p node_modules/next'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's folder, on a machine without Node.js."""
    folder = tmp_path / "nextjs"
    folder.mkdir()
    monkeypatch.setattr(nextjs, "FOLDER", folder)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "mkdir", "sleep"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


@pytest.fixture
def programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same machine, with stand-ins for Node.js and npm."""
    monkeypatch.setenv("NODE_VERSION", "v22.1.0")
    for name, script in (("node", NODE), ("npm", NPM)):
        program = folder.parent / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    return folder


def wait_for(file: Path) -> str:
    for _ in range(1_200):
        if file.exists() and (text := file.read_text(encoding="utf-8")):
            return text.strip()
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written")


def test_it_is_served_beside_the_application(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with nextjs.beside("127.0.0.1", 8765):
        backend, *command = wait_for(programs / "started").split()
        assert not (programs / "stopped").exists()

    assert backend == "http://127.0.0.1:8765"
    assert command[:4] == ["node_modules/next/dist/bin/next", "dev", "-H", "127.0.0.1"]
    assert (programs / "stopped").exists()
    assert f"http://127.0.0.1:{command[-1]}" in capsys.readouterr().out


def test_its_packages_are_fetched_once(programs: Path) -> None:
    told = programs / "npm-was-told"
    nextjs.install()
    assert told.read_text(encoding="utf-8").strip() == "ci"
    told.unlink()

    nextjs.install()

    assert not told.exists()


def test_packages_that_cannot_be_fetched(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (programs.parent / "bin" / "npm").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")

    with nextjs.beside("127.0.0.1", 8765):
        pass

    assert "cd nextjs && npm ci" in capsys.readouterr().out
    assert not (programs / "started").exists()


def test_without_node_the_application_is_served_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with nextjs.beside("127.0.0.1", 8765):
        pass

    assert "there is no node on the PATH" in capsys.readouterr().out
    assert nextjs.check().state == "warn"


@pytest.mark.parametrize("version", ["v18.20.4", "v20.8.1", ""])
def test_a_node_that_is_too_old(
    programs: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("NODE_VERSION", version)

    with pytest.raises(nextjs.NotReady, match=r"Node\.js 20\.9 or newer"):
        nextjs.node_program()


def test_the_doctor_knows_its_version(programs: Path) -> None:
    assert "npm ci" in nextjs.check().text
    package = programs / "node_modules" / "next" / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text(json.dumps({"version": "1.2.3"}), encoding="utf-8")

    assert nextjs.check().state == "ok"
    assert "1.2.3" in nextjs.check().text
