"""The names that `engine` exports, and what is promised of them."""

import re
from pathlib import Path

import pytest

import engine

README = Path(engine.__file__).with_name("README.md")


@pytest.mark.parametrize("name", engine.__all__)
def test_a_public_name_states_its_contract(name: str) -> None:
    found = getattr(engine, name)
    # A class without a docstring has its base's.
    assert vars(found).get("__doc__") if isinstance(found, type) else found.__doc__


def test_the_readme_lists_the_public_names() -> None:
    text = README.read_text(encoding="utf-8")
    table = re.search(r"^\| from `engine` .*\n((?:\|.*\n)+)", text, flags=re.M)
    assert table
    names = [row.split("|")[1] for row in table[1].splitlines()[1:]]
    assert sorted(re.findall(r"`(\w+)", " ".join(names))) == sorted(engine.__all__)
