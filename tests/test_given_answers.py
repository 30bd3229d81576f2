"""Answers are used, or refused in a line that names them, with the command that repeats the rest."""

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUESTIONS, REPO, Bake, BakeFailed, clean_environment, generate, hook, tool
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import UndefinedError

PRE_GEN = REPO / "hooks" / "pre_gen_project.py"
REPLAYED = "the replay has it from other answers"


def refused(template: Path, folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The lines of an error, after which nothing is written and no traceback is printed."""
    return refusal_and_command(template, folder, *arguments, **environment)[0]


def refusal_and_command(
    template: Path, folder: Path, *arguments: str, **environment: str
) -> tuple[list[str], list[str]]:
    """The lines of an error, and the words of the command below them."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment |= {"CHATKIT_SETUP": "skip", "TMPDIR": str(temporary)}
    with pytest.raises(BakeFailed) as failed:
        generate(template, folder / "out", *arguments, **environment)
    assert [*(folder / "out").iterdir(), *temporary.iterdir()] == []
    return without_command(failed.value.output)


def without_command(output: str) -> tuple[list[str], list[str]]:
    assert "Traceback" not in output
    lines = [line for line in output.splitlines() if line and not line.startswith("Pre-Prompt")]
    title = next((n for n, line in enumerate(lines) if line.startswith("To repeat it")), len(lines))
    return lines[:title], shlex.split(lines[title + 1]) if lines[title:] else []


def written(folder: Path, **answers: str) -> str:
    """A configuration file with these answers in YAML."""
    file = folder / "answers.yaml"
    lines = [f"  {name}: {value}\n" for name, value in answers.items()]
    file.write_text("default_context:\n" + "".join(lines), encoding="utf-8")
    return str(file)


LOST = {
    "dictation": ("yes", "dictation: True cannot be used. Allowed: no, yes; in a"),
    "agent_tools": ("[notes, chart]", "agent_tools: ['notes', 'chart'] cannot be used"),
    "auth_style": ("passwrd", "auth_style: 'passwrd' cannot be used. Allowed: anonymous,"),
    "languages": ("[de, fr]", "languages: ['de', 'fr'] cannot be used"),
    "theme_accent": ("#ff0000", "theme_accent: None cannot be used"),
    "project_name": ("007", "project_name: 7 cannot be used. Allowed: text; in a"),
    "license": ("[MIT]", "license: ['MIT'] cannot be used"),
    "theme_accents": ("#ff0000", "theme_accents: there is no such question"),
    "model": ("x y", "model: 'x y' cannot be used"),
}


@pytest.mark.parametrize("names", [[*LOST], ["dictation"], ["agent_tools"]], ids=str)
def test_no_answer_of_a_configuration_file_is_ignored(
    questions: Path, tmp_path: Path, names: list[str]
) -> None:
    file = written(tmp_path, **{name: LOST[name][0] for name in names})

    said = refused(questions, tmp_path, "--config-file", file)

    assert len(said) == len(names)
    for name in names:
        assert [line for line in said if line.startswith(LOST[name][1])]


def test_no_answer_of_the_default_configuration_files_is_ignored(
    questions: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, auth_style="passwrd")
    [line] = refused(questions, tmp_path, COOKIECUTTER_CONFIG=file)
    assert file in line

    Path(file).rename(tmp_path / ".cookiecutterrc")
    [line] = refused(questions, tmp_path, HOME=str(tmp_path))
    assert ".cookiecutterrc" in line

    project = generate(
        questions, tmp_path / "mine", "--default-config", HOME=str(tmp_path), CHATKIT_SETUP="skip"
    )
    assert "auth_style          anonymous" in project.output


def test_a_configuration_file_may_have_answers_for_other_templates(
    template: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, github_username="ada", dictation='"yes"', auth_style="jwt")

    project = generate(template, tmp_path / "out", "--config-file", file, CHATKIT_SETUP="skip")

    assert "dictation           yes" in project.output
    assert project.has("engine/auth/jwt/sign_in.py")


def test_no_answer_of_the_command_line_is_ignored(questions: Path, tmp_path: Path) -> None:
    said = refused(questions, tmp_path, "auth_style=passwrd", "agent_tool=chart", "model=x y")

    assert [line.partition(":")[0] for line in said] == ["agent_tool", "auth_style", "model"]


def test_a_refusal_ends_with_the_command_that_repeats_all_answers(
    template: Path, tmp_path: Path
) -> None:
    bad = ["auth_style=passwrd", "agent_tools=chart,tea", "author_name= ", "theme_accent=red"]
    good = ["project_name=O'Hara & Söhne", "languages=de", "attachments=local"]
    _, command = refusal_and_command(template, tmp_path, *bad, *good)
    answers = dict(word.split("=", 1) for word in command if "=" in word)

    assert {*answers} == {name for name in QUESTIONS if not name.startswith("_")}
    assert answers["auth_style"] == "<auth_style>"
    assert answers["agent_tools"] == "chart,<agent_tools>"
    assert answers["theme_accent"] == "<theme_accent>"
    assert [
        f"{name}={answers[name]}" for name in ("project_name", "languages", "attachments")
    ] == good

    said = run_command(command, tmp_path)
    assert said.returncode == 1
    assert {line.split(":")[0] for line in without_command(said.stdout)[0]} == {
        *("auth_style", "agent_tools", "author_name", "theme_accent")
    }

    others = {
        "auth_style": "jwt",
        "agent_tools": "notes",
        "author_name": "A",
        "theme_accent": "#000",
    }
    filled = [fill(word, others) for word in command]
    assert run_command(filled, tmp_path).returncode == 0
    assert "O'Hara & Söhne" in (tmp_path / "out/o-hara-sohne/README.md").read_text("utf-8")


def fill(word: str, answers: dict[str, str]) -> str:
    for name, answer in answers.items():
        word = word.replace(f"<{name}>", answer)
    return word


def run_command(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """As somebody pastes it into a shell."""
    return subprocess.run(
        ["sh", "-c", shlex.join(command)],  # noqa: S607
        cwd=folder / "out",
        env=clean_environment() | {"CHATKIT_SETUP": "skip"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def test_the_command_of_a_configuration_file_is_complete(questions: Path, tmp_path: Path) -> None:
    file = written(tmp_path, agent_tools="[notes, chart]", theme_accent="red", auth_style="jwt")
    _, command = refusal_and_command(questions, tmp_path, "--config-file", file)

    assert file not in command
    assert {"--default-config", "auth_style=jwt", "agent_tools=notes,chart"} <= {*command}
    filled = [fill(word, {"theme_accent": "#000"}) for word in command]
    assert run_command(filled, tmp_path).returncode == 0


def test_typed_answers_are_refused_without_a_traceback(questions: Path, tmp_path: Path) -> None:
    code, output = typed_into(questions, tmp_path)

    assert code == 1
    assert [*(tmp_path / "out").iterdir(), *(tmp_path / "temporary").iterdir()] == []
    lines, command = without_command(output[output.rindex("[18/18]") :])
    said = " ".join(lines)
    assert "agent_tools: 'tea' cannot be used" in said
    assert "attachments: 'none' cannot be used" in said
    assert {"agent_tools=chart,documents,<agent_tools>", "project_name=O'Hara"} <= {*command}
    assert "attachments=<attachments>" in command


def test_typed_answers_are_refused_where_interrupts_are_ignored(
    questions: Path, tmp_path: Path
) -> None:
    """As in the background of a script; Cookiecutter's own error comes after the refusal."""
    code, output = typed_into(questions, tmp_path, before="trap '' INT; ")

    assert code == 1
    assert list((tmp_path / "out").iterdir()) == []
    assert "agent_tools: 'tea' cannot be used" in output
    assert "FileNotFoundError" not in output


def typed_into(template: Path, folder: Path, before: str = "") -> tuple[int, str]:
    """The exit code and the output of a Cookiecutter on a terminal, after what a shell does before.

    Some of the answers that it gets cannot be used.
    """
    typed = {"project_name": "O'Hara", "agent_tools": "chart, tea, documents"}
    names = [name for name in QUESTIONS if not name.startswith("_")]
    answers = "".join(f"{typed.get(name, '')}\n" for name in names)
    for name in ("out", "temporary"):
        (folder / name).mkdir()
    ours, theirs = pty.openpty()
    environment = clean_environment() | {"TMPDIR": str(folder / "temporary"), "COLUMNS": "200"}
    command = shlex.join([tool("cookiecutter"), str(template), "-o", str(folder / "out")])
    process = subprocess.Popen(
        ["sh", "-c", f"{before}exec {command}"],  # noqa: S607
        env=environment | {"CHATKIT_SETUP": "skip", "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    said = b""
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # the other end is closed
        os.close(ours)
    return process.wait(), said.decode().replace("\r\n", "\n")


def test_the_command_begins_like_the_one_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    pre_gen = hook("pre_gen_project")
    uvx = "/home/ada/.cache/uv/archive-v0/abc/bin/cookiecutter"
    assert pre_gen.program(["python3", uvx]) == "uvx cookiecutter"

    monkeypatch.setattr(pre_gen.shutil, "which", lambda _: None)
    pipx = "/home/ada/.cache/pipx/venvs/cookiecutter/bin/cookiecutter"
    assert pre_gen.program(["python3", pipx]) == "pipx run cookiecutter"
    assert pre_gen.program(["py 3", "-m", "cookiecutter"]) == "'py 3' -m cookiecutter"

    monkeypatch.setattr(pre_gen.shutil, "which", lambda _: "/usr/bin/cookiecutter")
    assert pre_gen.program(["python3", "/usr/bin/cookiecutter"]) == "cookiecutter"


def test_the_command_is_quoted_for_powershell(monkeypatch: pytest.MonkeyPatch) -> None:
    pre_gen = hook("pre_gen_project")
    monkeypatch.setattr(pre_gen.os, "name", "nt")

    assert pre_gen.quoted("author_name=O'Hara $x") == "'author_name=O''Hara $x'"
    assert pre_gen.quoted("C:\\a\\b") == "C:\\a\\b"


def test_a_list_is_refused_if_the_command_line_cannot_be_read(ask: Bake) -> None:
    with pytest.raises(BakeFailed, match=r"agent_tools: \['notes', 'chart'\] cannot be used"):
        ask(agent_tools=["notes", "chart"])


def test_only_cookiecutters_command_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pre_gen = hook("pre_gen_project")
    started = [
        "/usr/bin/python3",
        "/usr/bin/cookiecutter",
        "gh:x/cookiecutter",
        "--no-input",
        "a=b",
    ]
    monkeypatch.setattr(pre_gen, "parent_words", lambda: started)
    words = pre_gen.command_line()
    assert words["extra_context"] == {"a": "b"}
    assert words["no_input"]

    for other in ([], ["python", "-m", "pytest"], ["cookiecutter", "--no-such-option"]):
        monkeypatch.setattr(pre_gen, "parent_words", lambda other=other: other)
        assert not pre_gen.command_line().get("no_input")


def test_no_answer_of_a_replay_is_ignored(questions: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"replay_dir: {tmp_path / 'replays'}\n", encoding="utf-8")
    environment = {"COOKIECUTTER_CONFIG": str(config), "CHATKIT_SETUP": "skip"}
    generate(questions, tmp_path / "first", **environment)
    [kept] = (tmp_path / "replays").iterdir()
    original = json.loads(kept.read_text(encoding="utf-8"))

    def replay(**changes: object) -> tuple[int, str]:
        answers = {"cookiecutter": original["cookiecutter"] | changes}
        kept.write_text(json.dumps(answers), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "cookiecutter", str(questions), "--replay", "-o", str(tmp_path)],
            env=clean_environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout

    for changes, line in (
        ({"auth_style": "passwrd", "dictation": True}, "dictation: True cannot be used"),
        ({"auth_style": "passwrd"}, "auth_style: 'passwrd' cannot be used"),
        ({"agent_tools": "chart"}, f"__tools: {REPLAYED}"),
        ({"_copy_without_render": []}, f"_copy_without_render: {REPLAYED}"),
    ):
        code, output = replay(**changes)
        assert code != 0
        assert line in output
        assert not (tmp_path / "my-chat-app").exists()
    assert replay()[0] == 0


def test_the_hook_knows_the_choices_of_the_questions() -> None:
    choices = {
        question: tuple(values)
        for question, values in QUESTIONS.items()
        if isinstance(values, list) and not question.startswith("_")
    }

    assert choices == hook("pre_gen_project").CHOICES


def test_the_answers_are_printed(ask: Bake) -> None:
    output = ask(agent_tools="all", auth_style="jwt", model="gpt-test").output

    shown = dict(line.split(maxsplit=1) for line in output.splitlines() if line.startswith("  "))
    assert set(shown) == {name for name in QUESTIONS if not name.startswith("_")}
    assert shown["auth_style"] == "jwt"
    assert shown["model"] == "gpt-test"
    assert shown["setup"] == "skip"
    assert shown["agent_tools"].startswith("notes, web_search, ")
    assert "documents" not in shown["agent_tools"]  # it needs attachments


class TestOldCookiecutter:
    @pytest.fixture
    def old(self, tmp_path: Path) -> dict[str, str]:
        """An environment in which Cookiecutter appears to be an old version."""
        metadata = tmp_path / "old" / "cookiecutter-2.5.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: cookiecutter\nVersion: 2.5.0\n"
        )
        return {"PYTHONPATH": str(metadata.parent)}

    def test_it_is_refused_before_the_first_question(
        self, questions: Path, tmp_path: Path, old: dict[str, str]
    ) -> None:
        [line] = refused(questions, tmp_path, **old)

        assert line.startswith("This template needs Cookiecutter 2.6 or newer, and this is 2.5.0.")

    def test_a_version_without_pre_prompt_hooks_is_refused_after_the_questions(
        self, tmp_path: Path, old: dict[str, str]
    ) -> None:
        """Such a version renders the hook with Jinja's default tags."""
        script = tmp_path / "hook.py"
        source = PRE_GEN.read_text(encoding="utf-8")
        script.write_text(Environment(autoescape=False).from_string(source).render(cookiecutter={}))  # noqa: S701

        done = subprocess.run(
            [sys.executable, str(script)],
            env=os.environ | old,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

        assert done.returncode == 1
        assert done.stderr.startswith("This template needs Cookiecutter 2.6 or newer")
        assert len(done.stderr.splitlines()) == 1

    def test_the_oldest_versions_show_the_error_in_the_prompts(self) -> None:
        """1.7 renders every dictionary, first `__prompts__`, and prints undefined names."""
        raw = {name: value for name, value in QUESTIONS.items() if name.startswith("_")}
        first = next(text for name, text in QUESTIONS.items() if isinstance(text, dict))
        assert first is QUESTIONS["__prompts__"]
        template = Environment(undefined=StrictUndefined).from_string(next(iter(first.values())))  # noqa: S701

        with pytest.raises(UndefinedError, match=r"needs Cookiecutter 2\.6 or newer"):
            template.render(cookiecutter=raw)
