"""The names that `engine` exports, and what is promised of them."""

import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import engine
import engine.tool_parts
from dev.paths import PROJECT_ROOT

README = Path(engine.__file__).with_name("README.md")


PUBLIC = [(module, name) for module in (engine, engine.tool_parts) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_public_name_states_its_contract(module: ModuleType, name: str) -> None:
    found = getattr(module, name)
    # A class without a docstring has its base's.
    assert vars(found).get("__doc__") if isinstance(found, type) else found.__doc__


@pytest.mark.parametrize("module", [engine, engine.tool_parts])
def test_the_readme_lists_the_public_names(module: ModuleType) -> None:
    text = README.read_text(encoding="utf-8")
    table = re.search(rf"^\| from `{module.__name__}` .*\n((?:\|.*\n)+)", text, flags=re.M)
    assert table
    names = [row.split("|")[1] for row in table[1].splitlines()[1:]]
    assert sorted(re.findall(r"`(\w+)", " ".join(names))) == sorted(module.__all__)


def test_the_readme_names_the_modules_that_the_application_may_import() -> None:
    """Those for which `lint-imports` makes an exception."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [border] = [one for one in contracts if one.get("forbidden_modules") == ["engine.*"]]
    allowed = [edge.split(" -> ")[1] for edge in border["ignore_imports"] if "app.**" in edge]
    named = " ".join(re.findall(r"`([^`]+)`", README.read_text(encoding="utf-8")))
    assert allowed
    assert set(re.findall(r"\w+", " ".join(allowed))) <= set(re.findall(r"\w+", named))


def test_the_readme_lists_the_rooms() -> None:
    table = re.search(r"^\| room .*\n((?:\|.*\n)+)", README.read_text(encoding="utf-8"), flags=re.M)
    assert table
    names = re.findall(r"`([\w.]+)`", " ".join(row.split("|")[1] for row in table[1].splitlines()))
    facades = {"rows.py", "tool_parts.py"}  # described above the table
    here = {path.name for path in README.parent.iterdir() if is_room(path)} - facades
    assert here - set(names) == set()
    # The template's README names rooms that only projects with an option have.
    assert set(names) - here <= {"attachments", "dictation", "toolkits"}


def is_room(path: Path) -> bool:
    is_code = path.suffix == ".py" or any(path.rglob("*.py"))
    return is_code and path.name not in {"__init__.py", "tests"}
