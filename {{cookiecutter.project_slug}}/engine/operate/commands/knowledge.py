"""`python3 -m app knowledge`: manages the documents that the assistant answers from."""

import argparse
import os
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.operate.commands.database import with_database
from engine.operate.commands.table import add_formats, print_rows

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.toolkits.knowledge.rows import KnowledgeStore

BAR_WIDTH = 30
HEADING = ("added", "passages", "document", "title")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    knowledge = commands.add_parser(
        "knowledge",
        help="the documents that the assistant answers from",
        epilog="example: python3 -m app knowledge add handbook/ prices.pdf",
    )
    add_actions(knowledge)
    return knowledge


def add_actions(knowledge: argparse.ArgumentParser) -> None:
    actions = knowledge.add_subparsers(dest="action", required=True, metavar="action")
    one = actions.add_parser(
        "add",
        help="add files and folders; existing ones are replaced",
        epilog="example: python3 -m app knowledge add handbook/ prices.pdf",
    )
    one.add_argument("paths", nargs="+", metavar="PATH")
    one = actions.add_parser(
        "list", help="list all documents", epilog="example: python3 -m app knowledge list --json"
    )
    add_formats(one)
    one = actions.add_parser(
        "remove",
        help="remove documents",
        epilog="example: python3 -m app knowledge remove handbook/returns.md",
    )
    one.add_argument("sources", nargs="+", metavar="PATH")


def run(options: argparse.Namespace) -> int:
    if options.action == "add":
        return add(options.paths)
    return remove(options.sources) if options.action == "remove" else list_(options.format)


def add(paths: Iterable[str]) -> int:
    """Add files, and the files in folders. Returns 1 if one of them was not added."""
    from engine.toolkits.knowledge.reader import READERS

    files = sorted({real_path(file) for path in paths for file in _files(Path(path))})
    if not files:
        print(f"No files to add were found. Supported types: {', '.join(sorted(READERS))}")
        return 1
    return _with_store(lambda store: _add(store, files))


async def _add(store: "KnowledgeStore", files: list[Path]) -> int:
    from engine.toolkits.knowledge.passages import passages, title_of
    from engine.toolkits.knowledge.reader import Unreadable, read_limited

    problems = []
    total = 0
    for done, file in enumerate(files):
        _show_progress(done, len(files), file.name)
        try:
            blocks = await read_limited(file)
        except Unreadable as error:
            problems.append(f"{file}: {error}")
            continue
        found = passages(blocks)
        await store.put(source_of(file), title_of(blocks, file.stem), found)
        total += len(found)
    _show_progress(len(files), len(files), "")
    for problem in problems:
        print(f"Not added: {problem}")
    print(f"{len(files) - len(problems):,} documents added, in {total:,} passages.")
    return 1 if problems else 0


def list_(format: str) -> int:
    async def print_all(store: "KnowledgeStore") -> int:
        documents = await store.all()
        if not documents and format == "table":
            print("There are no documents. Add some: python3 -m app knowledge add PATH…")
            return 0
        rows = [
            (f"{one.added_at:%Y-%m-%d}", one.passages, one.source, one.title) for one in documents
        ]
        print_rows(HEADING, rows, format, numbers=(1,))
        return 0

    return _with_store(print_all)


def remove(sources: Iterable[str]) -> int:
    """Remove documents by the name that `list` shows or by path. Returns 1 if one was missing."""

    async def remove_all(store: "KnowledgeStore") -> int:
        code = 0
        for source in sources:
            if await store.remove(source) or await store.remove(source_of(Path(source))):
                print(f"Removed: {source}")
            else:
                print(f"There is no such document: {source}")
                code = 1
        return code

    return _with_store(remove_all)


def real_path(file: Path) -> Path:
    """The canonical path of a file: without symbolic links, and with the capitals of the file's
    real name on a file system that ignores case.
    """
    real = file.resolve()
    path = Path(real.anchor)
    for part in real.parts[1:]:
        path /= _spelling(path, part)
    return path


def _spelling(folder: Path, name: str) -> str:
    try:
        names = os.listdir(folder)
    except OSError:
        return name
    if name in names:
        return name
    alike = (other for other in names if _folded(other) == _folded(name))
    return next((other for other in alike if _is_same(folder / other, folder / name)), name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def source_of(file: Path) -> str:
    """The name of a document: its path relative to the project, or its absolute path outside."""
    from engine.settings.settings import PROJECT_ROOT

    path = real_path(file)
    return (
        path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path
    ).as_posix()


def _files(path: Path) -> Iterator[Path]:
    """The path itself if it is a file; of a folder, all files of a supported type but hidden ones."""
    from engine.toolkits.knowledge.reader import READERS

    if not path.is_dir():
        yield path
        return
    for file in path.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and file.suffix.lower() in READERS:
            yield file


def _with_store(act: Callable[["KnowledgeStore"], Awaitable[int]]) -> int:
    async def act_on(database: "Database") -> int:
        from engine.toolkits.knowledge.rows import KnowledgeSettings, KnowledgeStore

        return await act(KnowledgeStore(database, KnowledgeSettings().knowledge_language))

    return with_database(act_on)


def _show_progress(done: int, total: int, name: str) -> None:
    """Draw a progress bar on a terminal; nothing if standard error is not a terminal."""
    if not sys.stderr.isatty():
        return
    filled = BAR_WIDTH * done // total
    bar = "#" * filled + "-" * (BAR_WIDTH - filled)
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r\033[K[{bar}] {done:,} of {total:,}  {name[:40]}{end}")
    sys.stderr.flush()
