"""Answers given in advance are used, or refused in a line that names them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUESTIONS, REPO, Bake, BakeFailed, clean_environment, generate, hook
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import UndefinedError

PRE_GEN = REPO / "hooks" / "pre_gen_project.py"
REPLAYED = "the replay has it from other answers"


def refused(template: Path, folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The lines of an error, after which nothing is written and no traceback is printed."""
    with pytest.raises(BakeFailed) as failed:
        generate(template, folder / "out", *arguments, CHATKIT_SETUP="skip", **environment)
    assert list((folder / "out").iterdir()) == []
    assert "Traceback" not in failed.value.output
    return [line for line in failed.value.output.splitlines() if not line.startswith("Pre-Prompt")]


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
    template: Path, tmp_path: Path, names: list[str]
) -> None:
    file = written(tmp_path, **{name: LOST[name][0] for name in names})

    said = refused(template, tmp_path, "--config-file", file)

    assert len(said) == len(names)
    for name in names:
        assert [line for line in said if line.startswith(LOST[name][1])]


def test_no_answer_of_the_default_configuration_files_is_ignored(
    template: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, auth_style="passwrd")
    [line] = refused(template, tmp_path, COOKIECUTTER_CONFIG=file)
    assert file in line

    Path(file).rename(tmp_path / ".cookiecutterrc")
    [line] = refused(template, tmp_path, HOME=str(tmp_path))
    assert ".cookiecutterrc" in line

    project = generate(
        template, tmp_path / "mine", "--default-config", HOME=str(tmp_path), CHATKIT_SETUP="skip"
    )
    assert "auth_style          anonymous" in project.output


def test_a_configuration_file_may_have_answers_for_other_templates(
    template: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, github_username="ada", dictation='"yes"', auth_style="jwt")

    project = generate(template, tmp_path / "out", "--config-file", file, CHATKIT_SETUP="skip")

    assert "dictation           yes" in project.output
    assert project.has("engine/auth/jwt/sign_in.py")


def test_no_answer_of_the_command_line_is_ignored(template: Path, tmp_path: Path) -> None:
    said = refused(template, tmp_path, "auth_style=passwrd", "agent_tool=chart", "model=x y")

    assert [line.partition(":")[0] for line in said] == ["agent_tool", "auth_style", "model"]


def test_a_list_is_refused_if_the_command_line_cannot_be_read(bake: Bake) -> None:
    with pytest.raises(BakeFailed, match=r"agent_tools: \['notes', 'chart'\] cannot be used"):
        bake(agent_tools=["notes", "chart"])


def test_only_cookiecutters_command_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pre_prompt = hook("pre_prompt")
    started = [
        "/usr/bin/python3",
        "/usr/bin/cookiecutter",
        "gh:x/cookiecutter",
        "--no-input",
        "a=b",
    ]
    monkeypatch.setattr(pre_prompt, "parent_words", lambda: started)
    words = pre_prompt.command_line()
    assert words["extra_context"] == {"a": "b"}
    assert words["no_input"]

    for other in ([], ["python", "-m", "pytest"], ["cookiecutter", "--no-such-option"]):
        monkeypatch.setattr(pre_prompt, "parent_words", lambda other=other: other)
        assert not pre_prompt.command_line().get("no_input")


def test_no_answer_of_a_replay_is_ignored(template: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"replay_dir: {tmp_path / 'replays'}\n", encoding="utf-8")
    environment = {"COOKIECUTTER_CONFIG": str(config), "CHATKIT_SETUP": "skip"}
    generate(template, tmp_path / "first", **environment)
    [kept] = (tmp_path / "replays").iterdir()
    original = json.loads(kept.read_text(encoding="utf-8"))

    def replay(**changes: object) -> tuple[int, str]:
        answers = {"cookiecutter": original["cookiecutter"] | changes}
        kept.write_text(json.dumps(answers), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "cookiecutter", str(template), "--replay", "-o", str(tmp_path)],
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


def test_the_answers_are_printed(bake: Bake) -> None:
    output = bake(agent_tools="all", auth_style="jwt", model="gpt-test").output

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
        self, template: Path, tmp_path: Path, old: dict[str, str]
    ) -> None:
        [line] = refused(template, tmp_path, **old)

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
