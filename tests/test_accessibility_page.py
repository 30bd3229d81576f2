"""`docs/accessibility.md` has each criterion of WCAG 2.2, A and AA, and the tests that it names exist."""

import ast
import re
from pathlib import Path

from conftest import REPO

PAGE = REPO / "docs" / "accessibility.md"
# https://www.w3.org/TR/WCAG22/, without the criteria of level AAA.
A = """
1.1.1 1.2.1 1.2.2 1.2.3 1.3.1 1.3.2 1.3.3 1.4.1 1.4.2 2.1.1 2.1.2 2.1.4 2.2.1 2.2.2 2.3.1 2.4.1 2.4.2
2.4.3 2.4.4 2.5.1 2.5.2 2.5.3 2.5.4 3.1.1 3.2.1 3.2.2 3.2.6 3.3.1 3.3.2 3.3.7 4.1.2
"""
AA = """
1.2.4 1.2.5 1.3.4 1.3.5 1.4.3 1.4.4 1.4.5 1.4.10 1.4.11 1.4.12 1.4.13 2.4.5 2.4.6 2.4.7 2.4.11 2.5.7
2.5.8 3.1.2 3.2.3 3.2.4 3.3.3 3.3.4 3.3.8 4.1.3
"""


def rows() -> list[tuple[str, str, str, str]]:
    """The number, the level, the result and the explanation of each criterion."""
    row = re.compile(r"^\| ([\d.]+) [^|]+ \| (A+) \| (\w+) \| (.+) \|$", re.MULTILINE)
    return row.findall(PAGE.read_text("utf-8"))


def test_each_criterion_has_a_row() -> None:
    assert [(number, level) for number, level, _, _ in rows()] == sorted(
        [(number, "A") for number in A.split()] + [(number, "AA") for number in AA.split()],
        key=lambda criterion: [int(part) for part in criterion[0].split(".")],
    )
    assert {result for _, _, result, _ in rows()} == {"met", "none"}


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert len(named) > 30

    assert named - set(names_of_tests(Path(__file__).parent)) == set()


def names_of_tests(folder: Path) -> list[str]:
    trees = (ast.parse(file.read_text("utf-8")) for file in folder.glob("test_*.py"))
    functions = (node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef))
    return [function.name for function in functions if function.name.startswith("test_")]
