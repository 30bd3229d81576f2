"""Says the texts of the code, which are English, in the languages that there are files for.

The files are gettext's: `de.po` in a folder named `locales`, beside the code whose texts it has.
Babel reads them when the application starts; nothing is compiled. A text that is missing stays
English. The application's files come before the engine's.
"""

import io
import logging
import re
from collections.abc import Iterator
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Literal, Self

from babel.core import negotiate_locale

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

logger = logging.getLogger(__name__)

# One text, or its forms for one and for several.
Strings = str | list[str] | tuple[str, ...]

Direction = Literal["ltr", "rtl"]

ENGLISH = "en"
PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = (PROJECT / "app", PROJECT / "engine")

_WEIGHT = re.compile(r"\s*q=([01](?:\.\d*)?)\s*")


class Translatable(str):
    """An English text with values in it, for example `Translatable("Using {tool}", tool=name)`.

    It reads as the finished text, and `translate` says it in another language. One that counts has
    two forms, which share `count`: `Translatable("{count} file", "{count} files", count=3)`.
    """

    one: str
    many: str | None
    values: dict[str, str | int]

    def __new__(cls, one: str, many: str | None = None, /, **values: str | int) -> Self:
        template = one if many is None or values["count"] == 1 else many
        text = super().__new__(cls, template.format(**values))
        text.one, text.many, text.values = one, many, values
        return text


def translate(text: str, locale: str) -> str:
    """The text in the best language for `locale`: an Accept-Language header, or a tag as `de-AT`."""
    known = _translations(language_of(locale))
    if not isinstance(text, Translatable):
        return known.gettext(text) if text else text  # "" is where gettext keeps a file's header
    if text.many is None:
        return known.gettext(text.one).format(**text.values)
    template = known.ngettext(text.one, text.many, int(text.values["count"]))
    return template.format(**text.values)


def language_of(accept_language: str) -> str:
    """The best of `languages()` for the header that browsers send; English if none of it is there."""
    found = negotiate_locale(_preferred(accept_language), languages(), sep="-") or ENGLISH
    return next(language for language in languages() if language.lower() == found.lower())


def _preferred(accept_language: str) -> list[str]:
    """The tags of the header, the best first (RFC 9110, section 12.5.4)."""
    weighed = [_weighed(part) for part in accept_language.split(",")]
    weighed.sort(key=lambda tag_and_weight: -tag_and_weight[1])
    return [tag for tag, weight in weighed if weight > 0]


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    weight = _WEIGHT.fullmatch(parameter)
    return tag.strip(), float(weight[1]) if weight else 1.0


@cache
def direction_of(language: str) -> Direction:
    """The direction in which one of `languages()` is written, for `dir` in HTML."""
    if language == ENGLISH:
        return "ltr"
    # Imported here: English alone needs none of it.
    from babel.core import Locale

    is_reversed = Locale.parse(language, sep="-").text_direction == "rtl"
    return "rtl" if is_reversed else "ltr"


@cache
def languages() -> tuple[str, ...]:
    """English, and those that there are files for, by their tags."""
    return (ENGLISH, *sorted({file.stem for file in _files()} - {ENGLISH}))


def load_translations() -> None:
    """Read all files. Raises ValueError for one that cannot be read."""
    for language in languages():
        _translations(language)


def texts_in(folder: Path, language: str) -> dict[str, str]:
    """All texts of the files in `folder`, by their English; none in a language without a file."""
    file = folder / f"{language}.po"
    if not file.exists():
        return {}
    ids = (message.id for message in _read(file) if isinstance(message.id, str) and message.id)
    return {text: translate(text, language) for text in ids}


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted(folder.glob("**/locales/**/*.po"))


@cache
def _translations(language: str) -> NullTranslations:
    """All files of the language: a text that the first lacks is looked up in the next."""
    known = NullTranslations()
    for number, file in enumerate(file for file in _files() if file.stem == language):
        if number == 0:
            known = _compiled(_read(file))
        else:
            known.add_fallback(_compiled(_read(file)))
    return known


@cache
def _read(file: Path) -> "Catalog":
    # Imported here: English alone needs none of it.
    from babel.core import Locale, UnknownLocaleError
    from babel.messages.pofile import PoFileError, read_po

    try:
        locale = Locale.parse(file.stem, sep="-")
        with file.open("rb") as source:
            catalog = read_po(source, locale=locale, abort_invalid=True)
    except (PoFileError, UnknownLocaleError, ValueError) as error:
        raise ValueError(
            f"{file.relative_to(PROJECT)} cannot be read: {error}. It has to be a PO file, named "
            "after a language, as de.po or pt-BR.po."
        ) from error
    for message in catalog:
        if message.id and message.string and not _has_its_values(message.id, message.string):
            logger.warning(
                "%s, line %s: not used, because it does not have the values of %r",
                file,
                message.lineno,
                message.id,
            )
            message.string = ""
    return catalog


def _compiled(catalog: "Catalog") -> NullTranslations:
    from babel.messages.mofile import write_mo
    from babel.support import Translations

    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def _has_its_values(ids: Strings, strings: Strings) -> bool:
    """True unless a translation has braces that its text does not have: `format` would fail."""
    known = _fields(ids)
    return known is None or ((found := _fields(strings)) is not None and found <= known)


def _fields(texts: Strings) -> set[str] | None:
    """The names in braces; None where the text cannot be formatted, and never is."""
    try:
        return {
            name
            for text in ([texts] if isinstance(texts, str) else texts)
            for _, name, _, _ in Formatter().parse(text)
            if name is not None
        }
    except ValueError:
        return None
