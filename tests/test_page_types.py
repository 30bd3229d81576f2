"""The page's modules conform to the types of `@openai/chatkit`, checked strictly."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from chromium import STANDIN
from conftest import QUESTIONS, REPO, TEMPLATE, Bake, npm_install

STRICT = ("--checkJs", "--strict", "--noEmit")


@pytest.fixture(scope="session")
def packages() -> Path:
    return npm_install("page_types") / "node_modules"


@pytest.fixture
def page(tmp_path: Path, packages: Path) -> Path:
    """A copy of the template's page, which tests may change."""
    (tmp_path / "node_modules").symlink_to(packages)
    return shutil.copytree(TEMPLATE / "engine" / "page", tmp_path / "web")


def test_the_page_is_typed(page: Path, packages: Path) -> None:
    assert complaints(page, packages) == ""


@pytest.mark.parametrize("tools", ["all", "none"])
def test_a_projects_page_is_typed(bake: Bake, packages: Path, tools: str) -> None:
    project = bake(agent_tools=tools)
    (project.path / "node_modules").symlink_to(packages)

    assert complaints(project.path / "engine" / "page", packages) == ""


@pytest.mark.parametrize(
    ("module", "right", "wrong", "complaint"),
    [
        ("options", "showDelete: element", "showErase: element", "'showErase' does not exist"),
        (
            "options",
            "autoScroll: element.autoScroll",
            'autoScroll: "yes"',
            "'string' is not assignable",
        ),
        ("events", '"chatkit.log":', '"chatkit.logs":', "'\"chatkit.logs\"' does not exist"),
        ("follower", "element.fetchUpdates()", "element.fetchUpdate()", "'fetchUpdate' does not"),
        ("theme", '"pill", "round"', '"pill", "circle"', '"circle"'),
    ],
)
def test_unknown_names_are_type_errors(
    page: Path, packages: Path, module: str, right: str, wrong: str, complaint: str
) -> None:
    file = page / "static" / "js" / f"{module}.js"
    source = file.read_text(encoding="utf-8")
    assert right in source
    file.write_text(source.replace(right, wrong), encoding="utf-8")

    assert complaint in complaints(page, packages)


def test_the_stand_in_of_the_browser_tests_has_the_elements_interface(
    page: Path, packages: Path
) -> None:
    shutil.copy(STANDIN, page / "static" / "js")

    assert complaints(page, packages) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("disclaimer: object({ text }", "disclaimers: object({ text }", "'disclaimers' does not"),
        ("async hideHistory()", "async hidesHistory()", "'hideHistory' is missing"),
        ("{ threadId: thread.id });", "{ id: thread.id });", "'id' does not exist in type"),
    ],
)
def test_a_wrong_stand_in_is_a_type_error(
    page: Path, packages: Path, right: str, wrong: str, complaint: str
) -> None:
    source = STANDIN.read_text(encoding="utf-8")
    assert right in source
    standin = page / "static" / "js" / "standin.js"
    standin.write_text(source.replace(right, wrong), encoding="utf-8")

    assert complaint in complaints(page, packages)


def complaints(web: Path, packages: Path, project: str = "jsconfig.json") -> str:
    done = subprocess.run(
        [str(packages / ".bin" / "tsc"), "--project", str(web / project), *STRICT],
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert bool(done.returncode) == bool(done.stdout), done.stdout
    return done.stdout


# --- What a project does with each option, event and method: docs/element.md ---------------------

ELEMENT = (REPO / "docs" / "element.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| (used|offered|left out) \| (.+) \|$", re.MULTILINE)
PLACES = {
    "options": "Exclude<Paths<ChatKitOptions>, Branches<ChatKitOptions>>",
    "events": "keyof ChatKitEvents",
    "methods": """
        | Exclude<keyof OpenAIChatKit, keyof HTMLElement>
        | Paths<Parameters<OpenAIChatKit["sendUserMessage"]>[0], "sendUserMessage.">
        | Paths<Parameters<OpenAIChatKit["setComposerValue"]>[0], "setComposerValue.">""",
}
# The paths of all members of an object. A prompt with mentions counts as a prompt.
PATHS = """
import type { ChatKitEvents, ChatKitOptions, OpenAIChatKit } from "@openai/chatkit";

type Leaf = string | number | boolean | null | undefined | Function | File;
type Words = { type: "input_text" | "input_tag" };
type Named<T> = string extends keyof T ? never : keyof T & string;
type Paths<T, Before extends string = ""> = T extends Leaf | Words
  ? never
  : T extends readonly (infer Entry)[]
    ? Paths<Entry, Before>
    : { [K in Named<T>]-?: `${Before}${K}` | Inside<T[K], `${Before}${K}.`> }[Named<T>];
type Inside<T, Before extends string> = Before extends "sendUserMessage.content." | "sendUserMessage.attachments."
  | "sendUserMessage.toolChoice." | "setComposerValue.content." | "setComposerValue.attachments."
  ? never
  : Paths<T, Before>;
type Branches<T, Before extends string = ""> = {
  [P in Paths<T, Before>]: Extract<Paths<T, Before>, `${P}.${string}`> extends never ? never : P;
}[Paths<T, Before>];
"""


def placed(text: str) -> dict[str, dict[str, str]]:
    """The names in each table that are used, offered or left out."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {
        section.split("\n")[0].lower(): {name: kind for name, kind, _ in ROW.findall(section)}
        for section in sections
    }


def misplaced(text: str, page: Path, packages: Path) -> str:
    """The differences between the types and the tables."""
    tables = [
        f"const {section}: Record<{PLACES[section]}, string> = {json.dumps(names)};\n"
        for section, names in placed(text).items()
    ]
    (page / "static" / "js" / "placed.ts").write_text(PATHS + "".join(tables), encoding="utf-8")
    config = page / "jsconfig.json"
    named = {
        "extends": "./jsconfig.json",
        "compilerOptions": {"noErrorTruncation": True},
        "include": ["static/js/placed.ts"],
    }
    config.with_name("placed.json").write_text(json.dumps(named), encoding="utf-8")
    return complaints(page, packages, "placed.json")


def test_every_option_event_and_method_is_in_a_table(page: Path, packages: Path) -> None:
    assert misplaced(ELEMENT, page, packages) == ""
    assert ELEMENT.count("\n| `") == len(ROW.findall(ELEMENT))


@pytest.mark.parametrize(
    "name", ["thread.autoScroll", "composer.tools.pinned", "chatkit.log", "fetchUpdates"]
)
@pytest.mark.parametrize("change", ["forgotten", "invented"])
def test_missing_and_unknown_names_are_found(
    page: Path, packages: Path, name: str, change: str
) -> None:
    row = re.search(rf"^\| `{re.escape(name)}` .*\n", ELEMENT, re.MULTILINE)
    assert row
    other = "" if change == "forgotten" else row[0] + row[0].replace(name, f"{name}er")

    found = misplaced(ELEMENT.replace(row[0], other), page, packages)

    assert name in found


def test_used_and_offered_names_are_where_the_table_says() -> None:
    files = TEMPLATE.joinpath("engine").rglob("*")
    texts = {".js", ".ts", ".py", ".css", ".toml"}
    app = "".join(file.read_text("utf-8") for file in files if file.suffix in texts)
    example = TEMPLATE.joinpath(".env.example").read_text("utf-8")
    page = "".join(file.read_text("utf-8") for file in TEMPLATE.rglob("static/js/*.js"))

    for name, kind, where in ROW.findall(ELEMENT):
        if kind == "used":
            assert re.search(
                rf"\b{re.escape(name if 'chatkit.' in name else name.split('.')[-1])}\b", page
            ), name
        for word in re.findall(r"`([-\w.]+)(?:\(\))?`", where) if kind == "offered" else ():
            assert (
                word in QUESTIONS
                or word in example
                or re.search(rf"{re.escape(word.removeprefix('window.chat.'))}\b", app)
            ), word


def test_an_omitted_name_has_a_reason() -> None:
    left_out = [(name, why) for name, kind, why in ROW.findall(ELEMENT) if kind == "left out"]

    assert left_out
    assert [name for name, why in left_out if not why.strip()] == []
