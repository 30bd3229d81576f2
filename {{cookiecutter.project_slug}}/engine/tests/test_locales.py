import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from engine.http.errors import AppError
from engine.settings.settings import PROJECT_ROOT
from engine.tests.talk import Visitor, message
from engine.text.locales import (
    CATALOGUE,
    ENGLISH,
    LANGUAGES,
    Translations,
    joined,
    language_of,
    translate,
)

FOLDERS = (PROJECT_ROOT / "engine",)
# What the page shows in the server's words; see refusals.js.
SHOWN = {403, 409, 413, 415, 422, 429, 503}
# What only a program can get wrong names the field, as in "session_id: …".
FOR_PROGRAMS = re.compile(r"[\w{}.-]+: ")


def files(pattern: str) -> list[Path]:
    return sorted(file for folder in FOLDERS for file in folder.rglob(pattern))


def catalogues() -> Iterator[tuple[str, Translations]]:
    yield "locales", CATALOGUE
    for file in files("*texts.py"):
        name = ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts)
        yield name, importlib.import_module(name).TRANSLATIONS


NAMED = dict(catalogues())
ALL = joined(*NAMED.values())


def written(node: ast.expr) -> str | None:
    """A text as the catalogue would name it: `{}` is for what is not known before."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"\d+", "{}", text)
        case ast.JoinedStr(values=parts):
            said = (
                re.sub(r"\d+", "{}", str(p.value)) if isinstance(p, ast.Constant) else "{}"
                for p in parts
            )
            return "".join(said)
    return None


@cache
def code() -> tuple[tuple[str, ast.expr], ...]:
    return tuple(_code())


def _code() -> Iterator[tuple[str, ast.expr]]:
    for file in files("*.py"):
        if not file.name.endswith(("locales.py", "texts.py")):
            for node in ast.walk(_without_translations(file)):
                if isinstance(node, ast.expr):
                    yield file.relative_to(PROJECT_ROOT).as_posix(), node


def _without_translations(file: Path) -> ast.AST:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [k for k in node.keywords if k.arg != "translations"]
    return tree


@cache
def said() -> set[str]:
    templates = "".join(file.read_text(encoding="utf-8") for file in files("*.html"))
    return {
        *(text for _, node in code() if (text := written(node)) is not None),
        *re.findall(r'\bsay\("(.*?)"\)', templates),
    }


def subclasses(kind: type[AppError]) -> Iterator[type[AppError]]:
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def refusals() -> Iterator[tuple[str, str]]:
    """Where something is refused in words that a page shows, and those words."""
    shown = {kind.__name__ for kind in subclasses(AppError) if kind.status in SHOWN}
    for file, node in code():
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in shown:
                text = written(first)
                if text and is_for_people(file) and not FOR_PROGRAMS.match(text):
                    yield file, text


def is_for_people(file: str) -> bool:
    """Probes and ways to sign in tell operators what is wrong; pages that sign in tell people."""
    path = PROJECT_ROOT / file
    has_pages = path.with_name(f"{path.stem.removesuffix('s')}_texts.py").exists()
    return path.name != "health.py" and (path.parent.name != "auth" or has_pages)


@pytest.mark.parametrize("name", NAMED)
def test_every_language_says_everything_and_keeps_what_it_is_about(name: str) -> None:
    catalogue = NAMED[name]
    assert set(catalogue) == set(LANGUAGES) - {ENGLISH}
    texts = set(catalogue["de"])
    for language, translations in catalogue.items():
        assert set(translations) == texts, language
        for text, translated in translations.items():
            assert translated.strip()
            assert translated.count("{}") == text.count("{}"), translated
            assert re.findall(r"[A-Z]+_[A-Z_]+", translated) == re.findall(r"[A-Z]+_[A-Z_]+", text)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_translated_is_still_said(name: str) -> None:
    assert {re.sub(r"\d+", "{}", text) for text in NAMED[name]["de"]} - said() == set()


def test_every_refusal_that_people_read_is_translated() -> None:
    found = list(refusals())

    assert [(file, text) for file, text in found if text not in ALL["de"]] == []
    assert len(found) > 20


def test_every_text_of_a_template_is_translated() -> None:
    for template in files("*.html"):
        html = template.read_text(encoding="utf-8")
        if "say(" in html:
            words = re.sub(r"\{[%\{].*?[%\}]\}|<[^>]*>|·", " ", html, flags=re.DOTALL)
            assert words.split() == []
            assert set(re.findall(r'\bsay\("(.*?)"\)', html)) <= set(ALL["de"])


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT", "de"),
        ("pt-BR, fr;q=0.5", "fr"),
        ("JA", "ja"),
        ("", ENGLISH),
        ("*", ENGLISH),
        ("xx", ENGLISH),
        ("ende", ENGLISH),
    ],
)
def test_the_first_language_that_is_spoken_here_is_taken(header: str, language: str) -> None:
    assert language_of(header) == language


def test_numbers_stay_and_what_is_unknown_too() -> None:
    text = "A message has at most 20000 characters."
    assert translate(text, "de-DE") == "Eine Nachricht hat höchstens 20000 Zeichen."
    assert translate(text, "en") == text
    assert translate("There is no thread thr_1.", "de") == "There is no thread thr_1."


def test_what_follows_a_colon_stays_as_it_is() -> None:
    text = "This conversation is locked: {ask} 7 of 9"
    assert translate(text, "fr") == "Cette conversation est verrouillée : {ask} 7 of 9"


async def test_a_refusal_is_in_the_users_language(visitor: Visitor) -> None:
    too_long = message("x" * 20_001)
    refused = await visitor.send("threads.create", {"Accept-Language": "fr-FR"}, input=too_long)

    assert refused.status_code == 413
    error = refused.json()["error"]
    assert error == {
        "code": "message_too_long",
        "message": "Un message compte 20000 caractères au plus.",
    }


async def test_progress_and_errors_of_an_answer_are_too(visitor: Visitor) -> None:
    failing = message("[demo:fail]")
    response = await visitor.send("threads.create", {"Accept-Language": "de"}, input=failing)

    assert "Anfrage wird gelesen" in response.text
    assert "Beim Antworten ist etwas schiefgegangen." in response.text
