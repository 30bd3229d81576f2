import ast
from pathlib import Path

import pytest

import app
from app.agent.tools import TOOLS
from app.agent.tools.base import AgentTool
from app.locales import CATALOGUE, ENGLISH, LANGUAGES, language_of, translate
from tests.talk import Visitor, message

TEXTS = set(CATALOGUE["de"])


def code() -> set[str]:
    """Every text in the application's code, as the catalogue would name it."""
    texts = set()
    for file in Path(app.__file__).parent.rglob("*.py"):
        if file.name == "locales.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(text)):
                    texts.add(text)
                case ast.JoinedStr(values=parts):
                    texts.add(
                        "".join(
                            str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts
                        )
                    )
    return texts


@pytest.mark.parametrize("language", CATALOGUE)
def test_every_language_says_everything_and_keeps_the_numbers(language: str) -> None:
    assert set(CATALOGUE[language]) == TEXTS
    assert all(text.count("{}") == CATALOGUE[language][text].count("{}") for text in TEXTS)


def test_what_is_translated_is_still_said() -> None:
    assert TEXTS - code() == set()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.id)
def test_a_tools_translations_are_of_its_texts(tool: AgentTool) -> None:
    texts = {tool.label, tool.placeholder, tool.prompt, *tool.titles.values()}
    for language, translations in tool.translations.items():
        assert language in LANGUAGES
        assert set(translations) == texts


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
