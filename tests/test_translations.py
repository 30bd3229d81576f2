"""Each text that the template's code says to people is in each language, and nothing else is."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from conftest import QUESTIONS, TEMPLATE, Bake

LANGUAGES = [language for language in QUESTIONS["_languages"] if language != "en"]
HOUSES = ("app", "engine")

# A text, or its forms for one and for several.
Said = str | tuple[str, ...]

# Status codes of errors whose messages a page shows; see refusals.js.
SHOWN = {403, 409, 413, 415, 422, 429, 503}
# A message that only a program can cause names the field, as in "session_id: …".
FOR_PROGRAMS = re.compile(r"(Not valid|[\w{}.-]+): ")
# Its refusals are for whoever runs the server.
FOR_OPERATORS = {
    "engine/operate/health.py",
    "engine/auth/current.py",
    "engine/auth/jwt/sign_in.py",
    "engine/auth/proxy/load_balancer.py",
    "engine/auth/proxy/sign_in.py",
    "engine/auth/same_origin.py",
    "engine/auth/tokens.py",
}
# What the owner's page says is translated in one place, wherever the file is.
OWN = {"index.html", "_header.html", "page.toml"}
OWN_PLACE = "app/page/locales"


def sources(*suffixes: str) -> Iterator[Path]:
    for house in HOUSES:
        for file in sorted((TEMPLATE / house).rglob("*")):
            if file.suffix in suffixes and "tests" not in file.relative_to(TEMPLATE).parts:
                yield file


@cache
def files() -> tuple[Path, ...]:
    return tuple(sources(".po"))


@cache
def catalog(file: Path) -> Catalog:
    with file.open("rb") as source:
        return read_po(source, locale=file.stem, abort_invalid=True)


def texts(file: Path) -> set[Said]:
    return {as_said(message.id) for message in catalog(file) if message.id}


def as_said(id: Said | list[str]) -> Said:
    return id if isinstance(id, str) else tuple(id)


def strings(node: ast.AST) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def shown_errors() -> frozenset[str]:
    """Names of the errors that a page shows: their status is their own, or of what they are."""
    classes = {
        node.name: node
        for file in sources(".py")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef)
    }

    def status(name: str) -> object:
        if name not in classes:
            return None
        code: object
        for line in classes[name].body:
            match line:
                case ast.Assign(targets=[ast.Name(id="status")], value=ast.Constant(value=code)):
                    return code
        bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
        return next((code for base in bases if (code := status(base))), None)

    return frozenset(name for name in classes if status(name) in SHOWN)


@cache
def said_in(file: Path) -> set[Said]:
    match file.suffix:
        case ".py":
            return set(said_in_python(file))
        case ".js":
            return set(re.findall(r'\bsay\(\s*"((?:[^"\\]|\\.)*)"', file.read_text("utf-8")))
        case ".toml":
            page = tomllib.loads(file.read_text(encoding="utf-8"))
            own = {page["greeting"], page["placeholder"], page["disclaimer"]}
            return own | {text for p in page["prompts"] for text in (p["label"], p["prompt"])}
    return set(said_in_html(file.read_text(encoding="utf-8")))


def said_in_python(file: Path) -> Iterator[Said]:
    is_for_people = file.relative_to(TEMPLATE).as_posix() not in FOR_OPERATORS
    for node in ast.walk(tree(file)):
        match node:
            case ast.Call(func=ast.Name(id="Translatable"), args=[ast.Constant(value=str(one))]):
                yield one
            case ast.Call(
                func=ast.Name(id="Translatable"),
                args=[ast.Constant(value=str(one)), ast.Constant(value=str(many))],
            ):
                yield one, many
            case ast.Call(
                func=ast.Name(id="translate" | "say"), args=[ast.Constant(value=str(text)), *_]
            ):
                yield text
            case ast.Call(func=ast.Name(id="AgentTool"), keywords=keywords):
                for keyword in keywords:
                    match keyword:
                        case ast.keyword(
                            arg="label" | "short_label" | "placeholder" | "prompt",
                            value=ast.Constant(value=str(text)),
                        ):
                            yield text
                        case ast.keyword(arg="titles", value=ast.Dict(values=values)):
                            for value in values:
                                yield from strings(value)
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in shown_errors():
                if is_for_people:
                    yield from refused(first)
    if is_for_people and translates_constants(tree(file)):
        for line in tree(file).body:
            if isinstance(line, ast.Assign | ast.AnnAssign) and not isinstance(
                line.value, ast.Call
            ):
                yield from (text for text in strings(line) if re.match(r"[A-Z].*\.$", text))


def refused(message: ast.expr) -> Iterator[str]:
    match message:
        case ast.Constant(value=str(text)) if not FOR_PROGRAMS.match(text):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            assert FOR_PROGRAMS.match(text), f"f-strings cannot be translated: Translatable({text}"


def translates_constants(module: ast.Module) -> bool:
    """True for a module that does not spell out in the call what it has translated."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"translate", "say"}
        and not isinstance(node.args[0], ast.Constant)
        for node in ast.walk(module)
    )


def said_in_html(html: str) -> Iterator[Said]:
    for arguments in re.findall(r"\bsay\((.*?)\) \}\}", html):
        quoted = re.findall(r'"(.*?)"', arguments)
        yield quoted[0] if len(quoted) == 1 else tuple(quoted)
    for _, marked in re.findall(r"<(\w+)[^>]* data-text>(.*?)</\1>", html, re.DOTALL):
        yield numbered(marked)
    yield from re.findall(r'aria-label="([^"]+)"', html)


def numbered(marked: str) -> str:
    """The text of an element, with a number in braces for each element inside it."""
    inside = re.compile(r"<(\w+)[^>]*>.*?</\1>")
    for number in range(len(inside.findall(marked))):
        marked = inside.sub(f"{{{number}}}", marked, count=1)
    return marked.strip()


def places_of(file: Path) -> list[Path]:
    """The folders that may have translations for a file: its own, its room's, its house's."""
    if file.name in OWN:
        return [TEMPLATE / OWN_PLACE]
    folders = [folder for folder in file.parents if folder.is_relative_to(TEMPLATE)][:-1]
    return [file.parent / "locales" / file.stem, *(folder / "locales" for folder in folders)]


def coded() -> Iterator[Path]:
    yield from sources(".py", ".js", ".html", ".toml")


def test_there_is_a_file_for_each_room_and_language() -> None:
    folders = {file.parent for file in files()}

    assert len(folders) > 20
    assert {file.stem for file in files()} == set(LANGUAGES)
    assert [folder for folder in folders if len([*folder.iterdir()]) != len(LANGUAGES)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_is_said_is_translated(language: str) -> None:
    missing = [
        (file.relative_to(TEMPLATE).as_posix(), text)
        for file in coded()
        for said in [said_in(file)]
        for text in said
        if not any(
            text in texts(place / f"{language}.po")
            for place in places_of(file)
            if (place / f"{language}.po").exists()
        )
    ]

    assert missing == []


def test_enough_is_found_in_each_kind_of_file() -> None:
    found: dict[str, set[Said]] = {}
    for file in coded():
        found.setdefault(file.suffix, set()).update(said_in(file))

    assert {suffix: len(texts) for suffix, texts in found.items()} == {
        ".py": pytest.approx(136, abs=30),
        ".js": pytest.approx(36, abs=10),
        ".html": pytest.approx(32, abs=10),
        ".toml": pytest.approx(7, abs=3),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_is_not_said(language: str) -> None:
    said: dict[Path, set[str]] = {}
    for file in coded():
        own = {text for text in said_in(file) if isinstance(text, str)}
        own |= {form for text in said_in(file) if isinstance(text, tuple) for form in text}
        if file.suffix == ".py":
            own |= strings(tree(file))
        for place in places_of(file):
            said.setdefault(place / f"{language}.po", set()).update(own)

    stale = [
        (file.relative_to(TEMPLATE).as_posix(), text)
        for file in files()
        if file.stem == language
        for text in texts(file)
        if not ({text} if isinstance(text, str) else {*text}) <= said.get(file, set())
    ]
    assert stale == []


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(TEMPLATE)))
def test_a_translation_has_all_that_its_text_has(file: Path) -> None:
    assert not list(catalog(file).obsolete)
    for message in catalog(file):
        if not message.id:
            continue
        forms = [message.string] if isinstance(message.string, str) else message.string
        assert forms
        assert all(forms), message.id
        assert not message.fuzzy, message.id
        ids = [message.id] if isinstance(message.id, str) else [*message.id]
        for form in forms:
            assert fields(form) == fields(ids[-1]), form
            assert names(form) == names(ids[-1]), form


def fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def names(text: str) -> list[str]:
    """Parts that are the same in every language: settings, and names of the browser."""
    return sorted(re.findall(r"[A-Z]+_[A-Z_]+|window\.[\w.]+|script-src|frame-src", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_of_a_language_agree(language: str) -> None:
    own = [catalog(file) for file in files() if file.stem == language]
    meanings: dict[Said, set[Said]] = {}
    for entries in own:
        for message in entries:
            if message.id:
                meanings.setdefault(as_said(message.id), set()).add(as_said(message.string or ""))

    assert {text: how for text, how in meanings.items() if len(how) > 1} == {}
    assert len({entries.plural_forms for entries in own}) == 1


@pytest.mark.parametrize(
    ("answer", "languages"),
    [("en", set()), ("de, ja", {"de", "ja"}), ("en,fr", {"fr"}), ("", set())],
)
def test_a_project_has_the_languages_that_were_chosen(
    look: Bake, answer: str, languages: set[str]
) -> None:
    project = look(languages=answer, agent_tools="all", attachments="local")

    found = [file for file in project.path.rglob("*.po") if ".venv" not in file.parts]
    assert {file.stem for file in found} == languages
    rooms = {file.parent for file in files()}
    apart = ("auth/oidc", "dictation", "auth/password", "auth/sessions", "engine/launcher")
    here = [r for r in rooms if not r.parent.relative_to(TEMPLATE).as_posix().endswith(apart)]
    assert len(found) == len(languages) * len(here)
    assert [folder for folder in project.path.rglob("locales") if not any(folder.iterdir())] == []


def test_translations_of_a_tool_go_with_it(look: Bake) -> None:
    project = look(languages="de", agent_tools="chart")

    assert project.has("app/agent/tools/locales/chart/de.po")
    assert not project.has("app/agent/tools/locales/sql")
    assert not project.has("app/agent/tools/notes")
    assert not project.has("engine/attachments/locales")
