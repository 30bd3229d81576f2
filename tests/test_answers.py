"""Valid answers render in all files; invalid ones are refused before anything is written."""

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import PRESETS, QUESTIONS, REPO, TEMPLATE, Bake, BakeFailed, generate, hook
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from matrix import ASIDE, as_answers, first_rows

CHOICES = {
    question: values
    for question, values in QUESTIONS.items()
    if isinstance(values, list) and not question.startswith("_")
}

NEEDS: dict[str, tuple[str, str]] = hook("pre_gen_project").NEEDS
ALL_TOOLS = f",{','.join(tool for tool in QUESTIONS['_tools'] if tool not in NEEDS)},"
TORTURE = "O'Hara & \"Sons\" \\ Zürich <b>💬</b> $HOME %s #{x} `id` --> %} 'end\\"


@pytest.mark.parametrize(
    "answers",
    [
        *(pytest.param(as_answers(row), id=name) for name, row in first_rows().items()),
        *({question: value} for question in ASIDE for value in CHOICES[question]),
        {"agent_tools": "all"},
    ],
    ids=str,
)
def test_every_value_of_every_question_renders(look: Bake, answers: dict[str, str]) -> None:
    """Each value occurs in one of the first rows, or is tested separately."""
    project = look(**answers)

    assert project.has("app/main.py")
    assert "\nWritten to " in project.output


@pytest.mark.parametrize(
    ("accent", "dots"),
    [("#000000", "#ffffff"), ("#2563eb", "#ffffff"), ("#ffdd00", "#14161b"), ("#fff", "#14161b")],
)
def test_the_dots_of_the_icon_are_visible_on_any_accent(look: Bake, accent: str, dots: str) -> None:
    icon = look(theme_accent=accent).text("app/page/icon.svg")

    assert f'<path fill="{accent}"' in icon
    assert f'<g fill="{dots}">' in icon


@pytest.mark.parametrize("tool", NEEDS)
def test_a_tool_without_what_it_needs_is_refused(ask: Bake, tool: str) -> None:
    question, without = NEEDS[tool]

    with pytest.raises(BakeFailed) as refused:
        ask(agent_tools=f"notes, {tool}", **{question: without})

    assert f"{question}: {without!r} cannot be used." in refused.value.output
    assert f"the tool {tool} needs one" in refused.value.output


def test_all_tools_with_attachments_are_all_tools(bake: Bake) -> None:
    project = bake(agent_tools="all", attachments="local")

    wired = project.text("app/agent/tool_list.py")
    assert all(
        re.search(rf"app.agent.tools.{tool}[. ].*import", wired) for tool in QUESTIONS["_tools"]
    )


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_renders_and_has_only_known_questions(
    template: Path, tmp_path: Path, preset: Path
) -> None:
    answers = yaml.safe_load(preset.read_text(encoding="utf-8"))["default_context"]
    assert set(answers) <= set(QUESTIONS)

    project = generate(template, tmp_path, "--config-file", str(preset), CHATKIT_SETUP="skip")

    assert answers["project_name"] in project.text("README.md")


def test_the_readme_has_the_command_of_each_preset() -> None:
    """For those who have no checkout. The quotes mean the same in bash and in PowerShell."""
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"# ([\w-]+): .*\n(uvx cookiecutter gh:org/repo .*=.*)", readme)

    assert {name for name, _ in commands} == {*PRESETS}
    for name, command in commands:
        answers = yaml.safe_load(PRESETS[name].read_text(encoding="utf-8"))["default_context"]
        given = dict(word.split("=", 1) for word in shlex.split(command)[3:])
        assert given == answers
        assert not re.search(r'["`$\\]', command)


def test_every_question_and_choice_has_a_prompt() -> None:
    questions = {question for question in QUESTIONS if not question.startswith("_")}

    prompts = {name: text for name, text in QUESTIONS["__prompts__"].items() if name != "_old"}
    assert set(prompts) == questions
    for question, prompt in prompts.items():
        if isinstance(prompt, dict):
            assert set(prompt) == {"__prompt__", *CHOICES[question]}


def test_the_questions_begin_with_what_matters() -> None:
    names = [name for name in QUESTIONS if not name.startswith("_")]
    matters = ["project_name", "auth_style", "agent_tools", "attachments", "model", "languages"]
    later = ["theme_accent", "deploy", "license"]

    assert [name for name in names if name in {*matters, *later}] == matters + later
    assert names[-1] == "license"


def test_no_question_needs_an_answer_that_comes_later() -> None:
    names = list(QUESTIONS)
    for place, (name, value) in enumerate(QUESTIONS.items()):
        used = re.findall(r"cookiecutter\.([a-z]\w*)", str(value)) if name[0] != "_" else []
        assert [other for other in used if names.index(other) >= place] == []
    # The later question is refused if the answers do not fit, so it is the one that names the need.
    for tool, (question, _) in NEEDS.items():
        assert names.index("agent_tools") < names.index(question)
        assert tool in QUESTIONS["__prompts__"][question]["__prompt__"]


def test_each_tool_is_explained_where_it_is_chosen() -> None:
    lines = [line.split(maxsplit=1) for line in QUESTIONS["__prompts__"]["agent_tools"].split("\n")]

    explained = [line[0] for line in lines[1:-1] if len(line[1]) > 20]
    assert explained == QUESTIONS["_tools"]


def test_the_default_model_is_the_sdks_own() -> None:
    # Not above: it takes seconds, in each process of these tests.
    from agents.models import get_default_model

    assert QUESTIONS["model"] == get_default_model()


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("notes", ",notes,"),
        (" web_search , notes, ", ",notes,web_search,"),
        ("notes,notes", ",notes,"),
        ("all", ALL_TOOLS),
        (" all ", ALL_TOOLS),
        ("none", ",,"),
        ("", ",,"),
    ],
)
def test_a_list_of_tools_may_have_spaces(ask: Bake, answer: str, chosen: str) -> None:
    assert ask(agent_tools=answer).answers["__tools"] == chosen


@pytest.mark.parametrize("auth_style", ["jwt", "password"])
def test_free_text_is_unchanged_in_every_file(bake: Bake, auth_style: str) -> None:
    texts = {
        question: f"{question[0]} {TORTURE}"
        for question in ("project_name", "author_name", "assistant_name")
    }
    project = bake(project_slug="torture", agent_tools="all", auth_style=auth_style, **texts)

    metadata = tomllib.loads(project.text("pyproject.toml"))["project"]
    assert metadata["authors"] == [{"name": texts["author_name"]}]
    assert f"# {texts['project_name']}" in project.text("README.md")
    assert texts["author_name"] in project.text("LICENSE")
    for name, text in project.files().items():
        parse(name, text)


def parse(name: str, text: str) -> None:
    match Path(name).suffix:
        case ".py":
            ast.parse(text, name)
        case ".toml":
            tomllib.loads(text)
        case ".json":
            json.loads(text)
        case ".yaml" | ".yml":
            yaml.safe_load(text)


def test_a_name_in_another_script_gives_a_folder(ask: Bake) -> None:
    assert ask(project_name="💬").path.name == "chat-app"
    assert ask(project_name="Чат für Zoë").path.name == "chat-fur-zoe"


REFUSED = {
    "project_slug": ["My App", "../evil", "app!", "-app", "app-", "é", "con", "a" * 65, "a\nb"],
    "table_prefix": ["1chat_", "chat-", "Chat_", 'a";--', "é_", " ", "a\n", "a" * 40],
    "model": ["gpt 5", 'x"', "x\\", "-x", "x\n"],
    "theme_accent": ["red", "#12345", "#ggg", "2563eb", "#2563eb;"],
    "agent_tools": ["notez", "notes, weather", "all,notes", "none, notes"],
    "languages": ["it", "de,xx", "de;fr", "DE", "all", "../de"],
    "project_name": [" ", "two\nlines", "bell\a", "x" * 201, "sep\u2028arated"],
    "author_name": ["\t"],
}


@pytest.mark.parametrize(
    ("question", "answer"),
    [(question, answer) for question, answers in REFUSED.items() for answer in answers],
)
def test_an_invalid_answer_is_named_and_nothing_is_written(
    questions: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    question: str,
    answer: str,
) -> None:
    monkeypatch.setenv("CHATKIT_SETUP", "skip")
    with pytest.raises(FailedHookException):
        cookiecutter(
            str(questions),
            no_input=True,
            extra_context={question: answer},
            output_dir=str(tmp_path),
            default_config=True,
        )

    said = "".join(capfd.readouterr())
    [line] = [text for text in said.splitlines() if text.startswith(question)]
    assert "cannot be used. Allowed: " in line
    assert list(tmp_path.iterdir()) == []


def test_invalid_answers_are_listed_together(ask: Bake) -> None:
    with pytest.raises(BakeFailed) as refused:
        ask(model='"', theme_accent="red", agent_tools="weather, tea", table_prefix="9")

    lines = [line for line in refused.value.output.splitlines() if "cannot be used" in line]
    assert [line.split(":")[0] for line in lines] == [
        "table_prefix",
        "model",
        "theme_accent",
        "agent_tools",
        "agent_tools",
    ]
    assert "'weather'" in refused.value.output
    assert ", ".join(QUESTIONS["_tools"]) in refused.value.output


def test_the_error_for_an_unknown_choice_lists_the_choices(ask: Bake) -> None:
    with pytest.raises(BakeFailed, match=r"oauth.*anonymous.*jwt"):
        ask(auth_style="oauth")


def test_a_wrong_environment_variable_is_refused(
    ask: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKIT_SETUP", "maybe")

    with pytest.raises(BakeFailed, match=r"CHATKIT_SETUP.*'maybe'.*run, skip, strict"):
        ask()


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% raw %}", "{# gone #}", "# {% if x %}"])
def test_a_typed_answer_with_jinja_in_it_is_refused(text: str) -> None:
    """Typed answers are not rendered at first, but cruft and a replay would render them."""
    problems = hook("pre_gen_project").free_text_problems("author_name", text)

    assert len(problems) == 1


def test_the_longest_prefix_fits_every_name(ask: Bake) -> None:
    longest = hook("pre_gen_project").PREFIX_LENGTH

    ask(table_prefix="p" * longest)
    with pytest.raises(BakeFailed, match=f"at most {longest} characters"):
        ask(table_prefix="p" * (longest + 1))


def test_only_prefix_and_model_are_rendered_into_python() -> None:
    holding = {
        str(file.relative_to(TEMPLATE)): file.read_text(encoding="utf-8").count("{{ cookiecutter")
        for file in TEMPLATE.rglob("*.py")
        if "{{ cookiecutter" in file.read_text(encoding="utf-8")
    }
    # The pages of signing in are light or dark.
    assert holding.pop("engine/auth/sessions/forms.py") == 1
    assert holding == {
        "engine/settings/settings.py": 2,
        "engine/database/database.py": 1,
        "engine/version.py": 1,
    }


@pytest.mark.parametrize("style", QUESTIONS["auth_style"])
def test_each_way_to_sign_in_says_whom_it_lets_in(style: str) -> None:
    code = (TEMPLATE / "engine" / "auth" / style / "sign_in.py").read_text(encoding="utf-8")

    assert re.search(r"^(    |        self\.)lets_in = ", code, re.MULTILINE)
