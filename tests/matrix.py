"""The rows of answers for which projects are generated: the presets, and rows for all pairs.

The questions are read from `cookiecutter.json`, so that new options are included. Each pair of values
of two questions occurs in a row; `first_rows` are the rows in which each single value occurs. Each tool
counts as a question with two values.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from allpairspy import AllPairs
from conftest import PRESETS, QUESTIONS, REPO, hook
from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config

TOOLS: list[str] = QUESTIONS["_tools"]
# Questions without a parameter.
ASIDE = {"setup"}
PREFIXES = ["chatkit_", "support_"]
LANGUAGES = ["en", "de,es,fr,ja"]
MODELS = [QUESTIONS["model"], "litellm/anthropic/claude-sonnet-5"]

Row = dict[str, str]
Value = tuple[str, str]


def parameters() -> dict[str, list[str]]:
    """Every question that has a choice, and its values."""
    choices = {
        question: values
        for question, values in QUESTIONS.items()
        if isinstance(values, list) and not question.startswith("_") and question not in ASIDE
    }
    tools = {tool: ["out", "in"] for tool in TOOLS}
    return (
        choices
        | tools
        | {
            "table_prefix": PREFIXES,
            "languages": LANGUAGES,
            "model": MODELS,
        }
    )


@cache
def rows() -> dict[str, Row]:
    """Answers by the name of their row; presets and defaults are the first rows."""
    given = {name: _read(file) for name, file in PRESETS.items()} | {"default": {}}
    named = {name: _row(answers) for name, answers in given.items()}
    missing = _pairs(parameters()) - _met(named.values())
    for row in itertools.chain(_covering(), _completing(named, missing)):
        if gained := missing & _met([row]):
            missing -= gained
            named[f"row{len(named) - len(given) + 1:02}"] = row
    return named


@cache
def first_rows() -> dict[str, Row]:
    """The presets, and the fewest other rows with the values that they do not have."""
    chosen = {name: row for name, row in rows().items() if not name.startswith("row")}
    left = set(_values(parameters())) - _standing(chosen.values())
    while left:
        name = max(rows(), key=lambda name: len(left & _standing([rows()[name]])))
        chosen[name] = rows()[name]
        left -= _standing([rows()[name]])
    return chosen


def as_answers(row: Row) -> dict[str, str]:
    """The answers for Cookiecutter, for which all tools are one answer."""
    tools = ",".join(tool for tool in TOOLS if row[tool] == "in") or "none"
    return {key: value for key, value in row.items() if key not in TOOLS} | {"agent_tools": tools}


def context(row: Row) -> dict[str, Any]:
    """The context of the template for these answers, with private variables."""
    raw = generate_context(str(REPO / "cookiecutter.json"), extra_context=as_answers(row))
    return dict(prompt_for_config(raw, no_input=True))


def environment() -> StrictEnvironment:
    """Cookiecutter's Jinja environment with the configuration of this template."""
    return StrictEnvironment(
        context={"cookiecutter": QUESTIONS},
        keep_trailing_newline=True,
        **QUESTIONS["_jinja2_env_vars"],
    )


def is_allowed(row: Mapping[str, str]) -> bool:
    """False if the hook refuses these answers, which may be incomplete."""
    given = {question: values[0] for question, values in parameters().items()} | dict(row)
    return not any(
        given[tool] == "in" and question in row and row[question] == without
        for tool, (question, without) in needs().items()
    )


@cache
def needs() -> dict[str, tuple[str, str]]:
    """The answers without which the hook refuses a tool, by the tool."""
    found: dict[str, tuple[str, str]] = hook("pre_gen_project").NEEDS
    return found


def _read(preset: Path) -> Row:
    answers: Row = yaml.safe_load(preset.read_text(encoding="utf-8"))["default_context"]
    return answers


def _row(given: Row) -> Row:
    """These answers, and the defaults of all other questions."""
    raw = generate_context(str(REPO / "cookiecutter.json"), default_context=given)
    answers = prompt_for_config(raw, no_input=True)
    chosen = answers["__tools"].split(",")
    return {
        question: answers[question]
        for question in QUESTIONS
        if not question.startswith("_") and question not in ASIDE | {"agent_tools", "project_slug"}
    } | {tool: "in" if tool in chosen else "out" for tool in TOOLS}


def _covering() -> Iterable[Row]:
    names, values = zip(*parameters().items(), strict=True)

    def allowed(partial: list[str]) -> bool:
        return is_allowed(dict(zip(names, partial, strict=False)))

    for combination in AllPairs(list(values), filter_func=allowed):
        yield dict(zip(names, combination, strict=True))


def _completing(named: Mapping[str, Row], missing: set[frozenset[Value]]) -> Iterator[Row]:
    """For each missing pair, the first row in which it can replace the row's values.

    AllPairs may miss pairs if others are forbidden.
    """
    while missing:
        pair = dict(min(missing, key=sorted))
        yield next(row | pair for row in [*named.values()] if is_allowed(row | pair))


def _values(of: Mapping[str, Iterable[str]]) -> Iterable[Value]:
    return ((question, value) for question, values in of.items() for value in values)


def _standing(rows: Iterable[Row]) -> set[Value]:
    return {(question, row[question]) for row in rows for question in parameters()}


def _pairs(of: Mapping[str, Iterable[str]]) -> set[frozenset[Value]]:
    return {
        frozenset(pair)
        for pair in itertools.combinations(_values(of), 2)
        if pair[0][0] != pair[1][0] and is_allowed(dict(pair))
    }


def _met(rows: Iterable[Row]) -> set[frozenset[Value]]:
    return {
        frozenset(pair)
        for row in rows
        for pair in itertools.combinations(sorted(_standing([row])), 2)
    }
