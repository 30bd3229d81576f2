"""Options are added and taken out in any order; databases of older projects are carried over."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import REPO, TEMPLATE, BakedProject, generate_with_our_environment, hook

HISTORIES = REPO / "tests" / "histories"
MIGRATIONS = TEMPLATE / "engine" / "migrations"
# The questions whose answers may be changed in every way.
QUESTIONS = ("agent_tools", "attachments", "auth_style")


def folders_of_options() -> dict[str, list[str]]:
    """The folders of migrations that come with each option."""
    post_gen = hook("post_gen_project")
    there = {folder.name for folder in MIGRATIONS.iterdir()}
    return {
        option: sorted({Path(place).name for place in places if "migrations" in place} & there)
        for question in QUESTIONS
        for option, places in post_gen.places_of(question).items()
    }


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """A project with the migrations of every option."""
    project = generate_with_our_environment(
        template, tmp_path_factory.mktemp("histories"), agent_tools="all", attachments="local"
    )
    ours = project.path / "engine" / "migrations"
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(MIGRATIONS, ours, dirs_exist_ok=True, ignore=caches)
    folder = project.path / "histories"
    shutil.copytree(HISTORIES / "linear", folder / "linear")
    shutil.copy(HISTORIES / "in_project.py", folder / "test_histories.py")
    (folder / "options.json").write_text(json.dumps(folders_of_options()), encoding="utf-8")
    return project


def test_every_folder_of_migrations_is_of_the_core_or_an_option() -> None:
    of_options = {folder for folders in folders_of_options().values() for folder in folders}

    assert of_options | {"core"} == {folder.name for folder in MIGRATIONS.iterdir()}


@pytest.mark.long
def test_every_order_of_choosing(project: BakedProject) -> None:
    said = project.run("pytest", "--quiet", "-n", "0", "histories")

    assert " passed" in said.splitlines()[-1]
