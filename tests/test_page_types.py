"""The page's modules agree with ChatKit's own types, `@openai/chatkit`, under a strict checker."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from chromium import STANDIN
from conftest import TEMPLATE, Bake, npm_install

STRICT = ("--checkJs", "--strict", "--noEmit")


@pytest.fixture(scope="session")
def packages() -> Path:
    return npm_install("page_types") / "node_modules"


@pytest.fixture
def page(tmp_path: Path, packages: Path) -> Path:
    """The template's page as it stands, to be checked or spoilt."""
    (tmp_path / "node_modules").symlink_to(packages)
    return shutil.copytree(TEMPLATE / "app" / "web", tmp_path / "web")


def test_the_page_is_typed(page: Path, packages: Path) -> None:
    assert complaints(page, packages) == ""


@pytest.mark.parametrize("tools", ["all", "none"])
def test_a_projects_page_is_typed(bake: Bake, packages: Path, tools: str) -> None:
    project = bake(agent_tools=tools)
    (project.path / "node_modules").symlink_to(packages)

    assert complaints(project.path / "app" / "web", packages) == ""


@pytest.mark.parametrize(
    ("module", "right", "wrong", "complaint"),
    [
        ("options", "showDelete: true", "showErase: true", "'showErase' does not exist"),
        ("options", "autoScroll: true", 'autoScroll: "yes"', "'string' is not assignable"),
        ("events", '"chatkit.log":', '"chatkit.logs":', "'\"chatkit.logs\"' does not exist"),
        ("follower", "element.fetchUpdates()", "element.fetchUpdate()", "'fetchUpdate' does not"),
        ("theme", '"pill", "round"', '"pill", "circle"', '"circle"'),
    ],
)
def test_what_the_element_does_not_know_is_found(
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
def test_a_stand_in_that_is_unlike_the_element_is_found(
    page: Path, packages: Path, right: str, wrong: str, complaint: str
) -> None:
    source = STANDIN.read_text(encoding="utf-8")
    assert right in source
    standin = page / "static" / "js" / "standin.js"
    standin.write_text(source.replace(right, wrong), encoding="utf-8")

    assert complaint in complaints(page, packages)


def complaints(web: Path, packages: Path) -> str:
    done = subprocess.run(
        [str(packages / ".bin" / "tsc"), "--project", str(web / "jsconfig.json"), *STRICT],
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert bool(done.returncode) == bool(done.stdout), done.stdout
    return done.stdout
