import logging
from pathlib import Path

import pytest

from engine import AgentTool, ToolRefusal
from engine.demo.model import _in_english
from engine.http.errors import AppError
from engine.tests.fixtures import forget_translations
from engine.tests.talk import German, Visitor, message
from engine.text import locales
from engine.text.locales import (
    Translatable,
    direction_of,
    language_of,
    languages,
    load_translations,
    texts_in,
    translate,
)

FILES = ("{count} file", "{count} files")


def files(count: int) -> Translatable:
    return Translatable(*FILES, count=count)


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        ("en", "ltr"),
        ("de", "ltr"),
        ("ar", "rtl"),
        ("he", "rtl"),
        ("fa-AF", "rtl"),
        ("zh-Hant", "ltr"),
    ],
)
def test_languages_are_written_in_their_direction(language: str, direction: str) -> None:
    assert direction_of(language) == direction


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-de", "de"),
        ("pt-BR", "pt-BR"),
        ("pt-br", "pt-BR"),
        ("pt", "en"),
        ("ja-JP", "en"),
        ("xx, de;q=0.5", "de"),
        ("en;q=0.3, de;q=0.9", "de"),
        ("de;q=0, en;q=0.1", "en"),
        ("*", "en"),
        ("*;q=0.5, de;q=0.1", "de"),
        ("", "en"),
        ("ende", "en"),
        ("de;q=x", "de"),
        (",;;q=,=", "en"),
        ("../../secrets", "en"),
        ("x" * 10_000, "en"),
    ],
)
def test_the_best_language_that_is_there_is_taken(
    german: German, tmp_path: Path, header: str, language: str
) -> None:
    (tmp_path / "locales" / "pt-BR.po").write_text("")
    forget_translations()

    assert languages() == ("en", "de", "pt-BR")
    assert language_of(header) == language


def test_what_is_not_translated_stays_english(german: German) -> None:
    german({"Sources": "Quellen", "Close": ""})

    assert translate("Sources", "de-AT") == "Quellen"
    assert translate("Sources", "fr") == "Sources"
    assert translate("Close", "de") == "Close"
    assert translate("A new text", "de") == "A new text"
    assert translate(files(2), "de") == "2 files"
    # There gettext keeps the header of a file.
    assert translate("", "de") == ""


def test_a_changed_english_text_shows_in_every_language(german: German) -> None:
    german({"Hello!": "Hallo!"})

    assert translate("Hello! How are you?", "de") == "Hello! How are you?"


def test_values_stand_where_the_translation_has_them(german: German) -> None:
    german({"{a} before {b}": "{b} nach {a}", FILES: ("{count} Datei", "{count} Dateien")})
    text = Translatable("{a} before {b}", a="{b}", b=2)

    assert text == "{b} before 2"
    assert translate(text, "de") == "2 nach {b}"
    assert [files(1), files(2)] == ["1 file", "2 files"]
    assert [translate(files(n), "de") for n in (0, 1, 2)] == ["0 Dateien", "1 Datei", "2 Dateien"]


POLISH = r"""
msgid ""
msgstr "Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\n"

msgid "{count} file"
msgid_plural "{count} files"
msgstr[0] "{count} plik"
msgstr[1] "{count} pliki"
msgstr[2] "{count} plików"
"""


def test_each_language_has_its_own_plural_forms(german: German, tmp_path: Path) -> None:
    (tmp_path / "locales" / "pl.po").write_text(POLISH, encoding="utf-8")
    (tmp_path / "locales" / "ja.po").write_text(
        'msgid "{count} file"\nmsgid_plural "{count} files"\nmsgstr[0] "{count}個"\n', "utf-8"
    )
    forget_translations()

    said = [translate(files(count), "pl") for count in (1, 2, 5, 22)]
    assert said == ["1 plik", "2 pliki", "5 plików", "22 pliki"]
    assert [translate(files(count), "ja-JP") for count in (1, 2)] == ["1個", "2個"]


def test_the_applications_words_come_before_the_engines(
    monkeypatch: pytest.MonkeyPatch, german: German, tmp_path: Path
) -> None:
    german({"Close": "Schließen", "Sources": "Quellen"})
    theirs = tmp_path / "theirs" / "locales" / "tool" / "de.po"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('msgid "Close"\nmsgstr "Zu"\n', encoding="utf-8")
    monkeypatch.setattr(locales, "FOLDERS", (tmp_path / "theirs", tmp_path))
    forget_translations()

    assert [translate(text, "de") for text in ("Close", "Sources")] == ["Zu", "Quellen"]
    assert texts_in(tmp_path / "locales", "de") == {"Close": "Zu", "Sources": "Quellen"}
    assert texts_in(tmp_path / "locales", "fr") == {}


def test_a_translation_without_its_values_is_not_used(
    german: German, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ["{tol}", "{tool.__class__}", "{0}", "{tool", "{}"]
    for translation in wrong:
        german({"Using {tool}": translation})
        assert translate(Translatable("Using {tool}", tool="x"), "de") == "Using x"
    assert caplog.text.count("does not have the values of 'Using {tool}'") == len(wrong)
    german({"Using {tool}": "Werkzeug läuft", "Plain {": "Schlicht {"})
    assert translate(Translatable("Using {tool}", tool="x"), "de") == "Werkzeug läuft"
    assert translate("Plain {", "de") == "Schlicht {"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("it.po", "<!doctype html>", "locales/it.po cannot be read"),
        ("nonsense.po", "", "named after a language"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_at_the_start(
    german: German, tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / "locales" / name).write_text(content, encoding="utf-8")
    forget_translations()

    with pytest.raises(ValueError, match=problem):
        load_translations()


def test_the_projects_own_files_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_translations()

    assert caplog.text == ""


def test_errors_keep_their_values() -> None:
    assert translate(AppError(files(2)).message, "en") == "2 files"
    assert ToolRefusal(files(2)).message.one == "{count} file"  # type: ignore[attr-defined]


def test_the_demo_model_understands_a_prompt_in_every_language(german: German) -> None:
    german({"Draw a line": "Zeichne eine Linie"})
    tool = AgentTool(
        id="line", label="Line", icon="sparkle", functions=(), placeholder="", prompt="Draw a line"
    )

    assert _in_english(" Zeichne eine Linie", tool) == "Draw a line"
    assert _in_english("Zeichne zwei Linien", tool) == "Zeichne zwei Linien"


async def test_a_refusal_is_in_the_users_language(visitor: Visitor, german: German) -> None:
    german(
        {
            (
                "A message has at most {count} character.",
                "A message has at most {count} characters.",
            ): (
                "Eine Nachricht hat höchstens {count} Zeichen.",
                "Eine Nachricht hat höchstens {count} Zeichen.",
            )
        }
    )
    too_long = message("x" * 20_001)
    refused = await visitor.send("threads.create", {"Accept-Language": "de-DE"}, input=too_long)

    assert refused.status_code == 413
    assert refused.json()["error"] == {
        "code": "message_too_long",
        "message": "Eine Nachricht hat höchstens 20000 Zeichen.",
    }


async def test_progress_and_errors_of_an_answer_are_too(visitor: Visitor, german: German) -> None:
    wrong = "Something went wrong while answering. Please try again."
    german({"Analyzing request": "Anfrage wird gelesen", wrong: "Das ging schief."})
    failing = message("[demo:fail]")
    response = await visitor.send("threads.create", {"Accept-Language": "de"}, input=failing)

    assert "Anfrage wird gelesen" in response.text
    assert "Das ging schief." in response.text
