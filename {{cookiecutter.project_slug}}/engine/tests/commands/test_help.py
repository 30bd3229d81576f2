"""Each command explains itself with an example, and each list can be read by programs."""

import argparse
import shlex
from collections.abc import Iterator

import pytest

from dev import __main__ as cli
from engine.operate.commands import table

Parser = argparse.ArgumentParser


def parsers(parser: Parser, name: str = "") -> Iterator[tuple[str, Parser]]:
    """Every command and action, by its words; the whole of them is empty."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from parsers(below, f"{name} {word}".strip())


PARSERS = dict(parsers(cli._parser()))
# The commands that print rows: each `… list`, and the two reports.
LISTS = [name for name in PARSERS if name.endswith("list") or name in ("usage", "feedback")]


@pytest.mark.parametrize("name", PARSERS)
def test_the_help_shows_an_example(name: str) -> None:
    example = f"example: python3 -m app {name}".strip()
    assert example in " ".join(PARSERS[name].format_help().split())


@pytest.mark.parametrize("name", PARSERS)
def test_the_example_is_understood(name: str) -> None:
    """Its redirection belongs to the shell."""
    epilog = PARSERS[name].epilog
    assert epilog is not None
    words = shlex.split(epilog.partition(" app ")[2].partition(">")[0])
    assert cli._parser().parse_args(words).command == (name or words[0]).split()[0]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_list_can_be_read_by_programs(name: str, form: str) -> None:
    assert form in PARSERS[name].format_help()


def test_rows_in_each_format(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("ada", 1_000), ("grace", 2)]
    printed = {}
    for form in ("table", "json", "csv"):
        table.print_rows(("name", "so many"), rows, form, numbers=(1,))
        printed[form] = capsys.readouterr().out
    assert printed["table"] == "name   so many\nada      1,000\ngrace        2\n"
    assert (
        printed["json"] == '[{"name": "ada", "so_many": 1000}, {"name": "grace", "so_many": 2}]\n'
    )
    assert printed["csv"] == "name,so many\nada,1000\ngrace,2\n"
