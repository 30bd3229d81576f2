"""Failures during generation: the project is kept, and the message says how to continue."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Bake, BakedProject, BakeFailed, generate, hook

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there
OFFLINE = {
    "UV_DEFAULT_INDEX": f"{NOBODY}/simple",
    "UV_HTTP_RETRIES": "0",
    "PIP_INDEX_URL": f"{NOBODY}/simple",
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": os.devnull,
    "UV_NO_CONFIG": "1",
}


def without_uv(folder: Path) -> dict[str, str]:
    """An environment with every program of this machine on its PATH except uv."""
    folder.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    for place in os.get_exec_path():
        for program in Path(place).iterdir() if os.access(place, os.R_OK | os.X_OK) else ():
            if program.name not in ("uv", "uvx") and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return {"PATH": str(folder), "UV": ""}


def says_once_how_to_continue(project: BakedProject) -> bool:
    [line] = [line for line in project.output.splitlines() if "To go on" in line]
    return line.endswith("-m app setup")


def test_a_repository_is_created(bake: Bake) -> None:
    assert bake().has(".git/HEAD")


def test_no_repository_is_created_inside_another(template: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert not generate(template, tmp_path / "out", CHATKIT_SETUP="skip").has(".git")


def test_without_git_the_project_is_written(template: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()

    project = generate(template, tmp_path / "out", CHATKIT_SETUP="skip", PATH=str(tmp_path / "bin"))

    assert "Note: git is not on the PATH." in project.output
    assert project.has("app/main.py")
    assert not project.has(".git")


def test_a_complete_machine_gets_no_notes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")

    hook("pre_prompt").main()

    assert capsys.readouterr().out == ""


def test_an_old_python_is_reported_before_the_first_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pre_prompt = hook("pre_prompt")
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))

    [line] = [line for line in pre_prompt.lacks() if "3.9.1" in line]
    assert "3.11 or newer" in line


def test_skip_only_writes(bake: Bake) -> None:
    project = bake()

    assert not any(project.has(name) for name in (".venv", ".data", ".env", "uv.lock"))
    assert project.output.rstrip().endswith("; python3 -m app setup")


def test_without_a_network_the_project_is_kept(template: Path, tmp_path: Path) -> None:
    project = generate(
        template,
        tmp_path / "out",
        CHATKIT_SETUP="run",
        UV_CACHE_DIR=str(tmp_path / "cache"),
        **OFFLINE,
    )

    assert project.has("app/main.py")
    assert "lock … failed" in project.output
    assert "package index does not answer" in project.output
    assert says_once_how_to_continue(project)


def test_setup_with_pythonsafepath(template: Path, tmp_path: Path) -> None:
    project = generate(
        template,
        tmp_path / "out",
        CHATKIT_SETUP="run",
        PYTHONSAFEPATH="1",
        UV_CACHE_DIR=str(tmp_path / "cache"),
        **OFFLINE,
    )

    assert "[1/8] uv … ok" in project.output
    assert says_once_how_to_continue(project)
    [line] = [line for line in project.output.splitlines() if "To go on" in line]
    assert "PYTHONSAFEPATH= " in line


def test_a_read_only_home_is_reported_in_one_line(template: Path, tmp_path: Path) -> None:
    with pytest.raises(BakeFailed) as failed:
        generate(template, tmp_path / "out", HOME="/dev/null", CHATKIT_SETUP="skip")

    line, _ = failed.value.output.splitlines()
    assert line.startswith("/dev/null/.cookiecutter_replay")
    assert "Set HOME" in line

    config = tmp_path / "config.yaml"
    config.write_text(f"replay_dir: {tmp_path / 'replays'}\n", encoding="utf-8")
    elsewhere = ("--config-file", str(config))
    generate(template, tmp_path / "out", *elsewhere, HOME="/dev/null", CHATKIT_SETUP="skip")


def test_an_existing_repository_is_not_changed(template: Path, tmp_path: Path) -> None:
    """For example, if a git hook runs Cookiecutter."""
    (tmp_path / "theirs").mkdir()
    theirs = {"GIT_DIR": str(tmp_path / "theirs"), "GIT_WORK_TREE": str(tmp_path)}

    project = generate(template, tmp_path / "out", CHATKIT_SETUP="skip", **theirs)

    assert project.has(".git/HEAD")
    assert list((tmp_path / "theirs").iterdir()) == []


def test_without_uv_and_network_the_project_is_kept(template: Path, tmp_path: Path) -> None:
    project = generate(
        template,
        tmp_path / "out",
        CHATKIT_SETUP="run",
        **without_uv(tmp_path / "bin"),
        **OFFLINE,
    )

    assert project.has("app/main.py")
    assert "uv … failed" in project.output
    assert says_once_how_to_continue(project)


def test_with_an_old_python_the_project_is_written(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake()
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))

    assert hook("post_gen_project").set_up(project.path) is False
    assert "-m app setup" in capfd.readouterr().err


def test_strict_fails_and_keeps_a_copy(template: Path, tmp_path: Path) -> None:
    """Cookiecutter deletes the folder of a hook that fails."""
    (tmp_path / "out" / "my-chat-app.failed").mkdir(parents=True)
    (tmp_path / "out" / "my-chat-app.failed" / "earlier").touch()

    with pytest.raises(BakeFailed) as failed:
        generate(
            template,
            tmp_path / "out",
            CHATKIT_SETUP="strict",
            UV_CACHE_DIR=str(tmp_path / "cache"),
            **OFFLINE,
        )

    kept = tmp_path / "out" / "my-chat-app.failed-2"
    assert str(kept) in failed.value.output
    assert (kept / "app" / "main.py").is_file()
    assert (tmp_path / "out" / "my-chat-app.failed" / "earlier").exists()
    assert not (tmp_path / "out" / "my-chat-app").exists()


def test_strict_keeps_the_folder_with_keep_project_on_failure(
    template: Path, tmp_path: Path
) -> None:
    with pytest.raises(BakeFailed):
        generate(
            template,
            tmp_path / "out",
            "--keep-project-on-failure",
            "setup=strict",
            UV_CACHE_DIR=str(tmp_path / "cache"),
            **OFFLINE,
        )

    assert (tmp_path / "out" / "my-chat-app" / "app" / "main.py").is_file()


def test_generating_into_a_project_keeps_other_files(template: Path, tmp_path: Path) -> None:
    project = generate(template, tmp_path / "out", CHATKIT_SETUP="skip")
    (project.path / "app" / "mine.py").write_text("mine = True\n", encoding="utf-8")

    with pytest.raises(BakeFailed, match="already exists"):
        generate(template, tmp_path / "out", CHATKIT_SETUP="skip")
    generate(template, tmp_path / "out", "--overwrite-if-exists", CHATKIT_SETUP="skip")

    assert project.text("app/mine.py") == "mine = True\n"


def test_an_ascii_terminal(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Ünïcode 💬"

    project = generate(
        template,
        folder,
        "project_name=Größe 💬",
        CHATKIT_SETUP="skip",
        PYTHONIOENCODING="ascii",
    )

    assert project.has("app/main.py")
    with pytest.raises(BakeFailed, match=r"theme_accent: 'r\\xf6t'"):
        generate(template, tmp_path / "bad", "theme_accent=röt", PYTHONIOENCODING="ascii")
