"""Functions of the template have few parameters, whatever was chosen."""

import ast
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}"
MOST = 4

# Their parameters are somebody else's: the application's parts, the SDK's store, the model's call.
LONGER = {"Chat.__init__", "SqlStore.load_thread_items", "draw_chart"}


def test_three_functions_have_more_than_four_parameters() -> None:
    found = {name for house in ("app", "engine", "dev") for name in _longer(TEMPLATE / house)}
    assert found == LONGER


def _longer(house: Path) -> set[str]:
    return {
        name
        for path in house.rglob("*.py")
        if "tests" not in path.parts
        for name, function in _functions(ast.parse(path.read_text(encoding="utf-8")))
        if _parameters(function) > MOST
    }


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(node: ast.AST, owner: str = "") -> list[tuple[str, Function]]:
    found: list[tuple[str, Function]] = []
    for child in ast.iter_child_nodes(node):
        name = f"{owner}{getattr(child, 'name', '')}"
        if isinstance(child, Function):
            found.append((name, child))
        inside = f"{name}." if isinstance(child, ast.ClassDef) else owner
        found += _functions(child, inside)
    return found


def _parameters(function: Function) -> int:
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))
