"""Every pair of answers occurs in a row, and rows cover all conditions of the template."""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

from conftest import QUESTIONS, TEMPLATE, hook, is_copied
from jinja2 import Template, nodes
from matrix import (
    TOOLS,
    context,
    environment,
    first_rows,
    is_allowed,
    parameters,
    rows,
)


@cache
def contexts() -> list[dict[str, Any]]:
    return [context(row) for row in rows().values()]


def test_every_question_with_a_choice_is_a_parameter() -> None:
    lists = {q for q, values in QUESTIONS.items() if isinstance(values, list) and q[0] != "_"}

    assert lists - {"setup"} | {*TOOLS} <= set(parameters())


def test_every_pair_of_values_occurs_in_a_row() -> None:
    missing = [
        f"{one}={value}, {other}={its}"
        for one, other in itertools.combinations(parameters(), 2)
        for value, its in itertools.product(parameters()[one], parameters()[other])
        if is_allowed({one: value, other: its})
        and not any(row[one] == value and row[other] == its for row in rows().values())
    ]

    assert missing == []


def test_every_value_occurs_in_one_of_the_first_rows() -> None:
    missing = [
        f"{question}={value}"
        for question, values in parameters().items()
        for value in values
        if not any(row[question] == value for row in first_rows().values())
    ]

    assert missing == []


def test_no_row_is_refused() -> None:
    problems = {
        name: found
        for name, answers in zip(rows(), contexts(), strict=True)
        if (found := hook("pre_gen_project").problems(answers, None))
    }

    assert problems == {}


def test_the_context_has_the_rows_answers() -> None:
    for row, answers in zip(rows().values(), contexts(), strict=True):
        chosen = [tool for tool in answers["__tools"].split(",") if tool]

        assert chosen == [tool for tool in TOOLS if row[tool] == "in"]


def test_every_optional_file_is_in_some_rows_only() -> None:
    post_gen = hook("post_gen_project")
    left_out = [post_gen.files_not_chosen(TEMPLATE, answers) for answers in contexts()]
    optional = {
        file
        for question in post_gen.PLACES
        for places in post_gen.places_of(question).values()
        for place in places
        for file in post_gen.files_of(TEMPLATE / place)
    }

    assert {name for name in optional if all(name in files for files in left_out)} == set()
    assert {name for name in optional if not any(name in files for files in left_out)} == set()


def test_every_condition_is_true_in_some_rows_only() -> None:
    always, never = [], []
    for place, condition in conditions():
        held = [bool(condition.render(cookiecutter=answers)) for answers in contexts()]
        if all(held):
            always.append(place)
        if not any(held):
            never.append(place)

    assert always == []
    assert never == []


def conditions() -> Iterator[tuple[str, Template]]:
    """Each `if` of the template with its position; it renders to a text if the condition is true."""
    env = environment()
    for file, text in template_files():
        for found in env.parse(text).find_all((nodes.If, nodes.CondExpr)):
            yes: Any = nodes.CondExpr(found.test, nodes.Const("yes"), nodes.Const(""))
            alone = nodes.Template([nodes.Output([yes])], lineno=1).set_environment(env)
            code = env.compile(alone)
            yield f"{file}:{found.lineno}", Template.from_code(env, code, {})


def template_files() -> Iterator[tuple[str, str]]:
    """The files that Cookiecutter renders, with their names."""
    for file in sorted(TEMPLATE.rglob("*")):
        name = str(file.relative_to(TEMPLATE))
        if not file.is_file() or is_copied(file):
            continue
        yield name, f"{name}\n{file.read_text(encoding='utf-8')}"
