"""Writes the application's migrations with Alembic's autogenerate, which sees its tables alone."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.migration import MigrationContext
from alembic.operations import MigrationScript
from alembic.operations.ops import OpContainer
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.sql.schema import SchemaItem

from engine.database.database import TABLE_PREFIX
from engine.database.migrations import (
    CORE,
    LINEAR,
    OUR_MIGRATIONS,
    OWNER,
    MigrationRefused,
    alembic_config,
    below,
    own_files,
    own_folder,
)
from engine.database.tables import metadata

HOW_TO_WRITE = 'Write it with: python3 -m app migration "…"'

# Calls in a migration that make something, whose names are the first argument or arguments.
_MAKES = {"create_table", "create_index", "create_foreign_key"}
_MAKES |= {"create_unique_constraint", "create_check_constraint", "create_primary_key"}


def options() -> dict[str, Any]:
    """For `context.configure`."""
    made = Made.by_owner()
    return {
        "include_name": made.include_name,
        "include_object": made.include_object,
        "process_revision_directives": _say_which_command,
    }


class Made:
    """The names of all that the application's own migrations have made.

    Only that is ever proposed to be dropped. Other tables and columns that the code does not have
    are another project's, an administrator's, or of an option that was taken out.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    @classmethod
    def by_owner(cls) -> "Made":
        return cls({name for file in own_files() for name in _made_in(file)})

    def include_name(self, name: str | None, kind: str, _parents: object) -> bool:
        """False for tables in the database that are not looked at."""
        return kind != "table" or name in metadata().tables or name in self._names

    def include_object(self, item: SchemaItem, name: str | None, kind: str, *more: Any) -> bool:
        """False for what is in the database alone, and was not made here."""
        is_reflected, declared = more
        if not is_reflected or declared is not None or kind == "table":
            return True
        table = getattr(item, "table", None)
        on_table = getattr(table, "name", "")
        return bool({on_table, name, f"{on_table}.{name}"} & self._names)


def _made_in(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _made_by(node.func.attr, node.args, named)


def _made_by(call: str, arguments: list[ast.expr], named: dict[str, ast.expr]) -> Iterator[str]:
    names = [_text(argument, named) for argument in arguments[:1]]
    if call in _MAKES:
        yield from filter(None, names)
    if call == "add_column" and len(arguments) > 1 and isinstance(arguments[1], ast.Call):
        column = _text(arguments[1].args[0], named) if arguments[1].args else None
        yield f"{names[0]}.{column}"


def _text(node: ast.expr, named: dict[str, ast.expr]) -> str | None:
    """The value of a literal, which may use the prefix or a name of the module; None for others."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        if node.id == "TABLE_PREFIX":
            return TABLE_PREFIX
        return _text(named[node.id], {}) if node.id in named else None
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, named)
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part, named) for part in node.values]
        return None if None in parts else "".join(filter(None, parts))
    if isinstance(node, ast.Call) and len(node.args) == 1:  # op.f("…")
        return _text(node.args[0], named)
    return None


def _say_which_command(
    _context: MigrationContext, _revision: object, _directives: list[MigrationScript]
) -> None:
    """Raise `CommandError` for `alembic revision` without the branch that it continues."""
    asked = context.config.cmd_opts  # None unless this is Alembic's own command line
    if asked is not None and asked.cmd[0] is command.revision and asked.head in (None, "head"):
        raise CommandError(
            f"Each option has a branch of migrations, and yours is `{OWNER}`. {HOW_TO_WRITE}, or "
            f"continue your branch: alembic revision --head {OWNER}@head --autogenerate -m …"
        )


def write_migration(message: str, *, is_empty: bool = False) -> str | None:
    """Write the application's next migration, on its own branch; return the file's path.

    None if the tables are those of the code already. Raises `MigrationRefused`.
    """
    config = alembic_config()
    script = ScriptDirectory.from_config(config)
    line = _own_line(script)

    def complete(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
        [migration] = directives
        assert migration.upgrade_ops is not None
        if migration.upgrade_ops.is_empty() and not is_empty:
            directives.clear()
            return
        migration.depends_on = _needed(script, line["head"], _changed(migration.upgrade_ops))

    try:
        written = command.revision(
            config, message, not is_empty, process_revision_directives=complete, **line
        )
    except CommandError as error:
        raise MigrationRefused(str(error)) from error
    return written.path if isinstance(written, Script) else None


def _own_line(script: ScriptDirectory) -> dict[str, Any]:
    """Arguments of Alembic's `revision` that continue the application's branch, or begin it."""
    folder = own_folder()
    heads = [
        head
        for head in script.get_heads()
        if folder in Path(script.get_revision(head).path).parents
    ]
    if len(heads) > 1:
        raise MigrationRefused(
            f"Your branch of migrations has {len(heads)} ends: {', '.join(sorted(heads))}. Join them "
            f"first: alembic merge {' '.join(sorted(heads))} -m merge"
        )
    if heads:
        return {"head": heads[0]}
    return {"head": "base", "branch_label": OWNER, "version_path": folder}


def _changed(steps: OpContainer) -> set[str]:
    """The names of the tables that are made or changed, and of those that these refer to."""
    found: set[str] = set()
    for step in steps.ops:
        found |= _changed(step) if isinstance(step, OpContainer) else set()
        found.add(getattr(step, "table_name", ""))
    tables = [metadata().tables[name] for name in found if name in metadata().tables]
    return found | {key.column.table.name for table in tables for key in table.foreign_keys}


def _needed(script: ScriptDirectory, head: str, tables: set[str]) -> list[str]:
    """The revisions that make these tables, as far as `head` does not need them anyway."""
    before = set() if head == "base" else set(_all_below(script, head))
    return sorted(
        revision.revision
        for revision in script.walk_revisions()
        if revision.revision not in before
        if tables & set(getattr(revision.module, "tables", ())) or _is_first(revision)
    )


def _is_first(revision: Script) -> bool:
    return revision.down_revision is None and CORE in revision.branch_labels


def _all_below(script: ScriptDirectory, head: str) -> Iterator[str]:
    yield head
    for name in below(script.get_revision(head)):
        yield from _all_below(script, name)


# --- The prefix of tables by its name -----------------------------------------------------------

_LITERAL = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")


def prefix_by_name(source: str) -> str:
    """Python with `f"{TABLE_PREFIX}dice"` where it has the name with the prefix in it."""
    return _LITERAL.sub(_by_name, source)


def _by_name(literal: re.Match[str]) -> str:
    name = literal[0][1:-1]
    if not re.fullmatch(rf"{TABLE_PREFIX}[\w.]*", name):
        return literal[0]
    return 'f"{TABLE_PREFIX}' + name.removeprefix(TABLE_PREFIX) + '"'


# --- Migrations of projects that had one line of revisions ---------------------------------------


def give_own_branch() -> list[str]:
    """Change the application's migrations that continue that line; return the changed files.

    The first of them begins the application's branch. It depends on the revisions that make the
    tables that it names.
    """
    files = [file for file in own_files() if _continues_line(file)]
    makers = _makers()
    for number, file in enumerate(files):
        source = file.read_text(encoding="utf-8")
        kept = [name for name in _assigned(source, "down_revision") if not LINEAR.fullmatch(name)]
        source = _assign(source, "down_revision", kept)
        if not kept:
            source = _assign(source, "branch_labels", [] if number else [OWNER])
            source = _assign(source, "depends_on", _named_in(source, makers))
        file.write_text(source, encoding="utf-8")
    return [str(file.relative_to(own_folder())) for file in files]


def _continues_line(file: Path) -> bool:
    names = _assigned(file.read_text(encoding="utf-8"), "down_revision")
    return any(map(LINEAR.fullmatch, names))


def _makers() -> dict[str, str]:
    """The revision that makes each table of the engine and of options."""
    script = ScriptDirectory.from_config(alembic_config(OUR_MIGRATIONS))
    return {
        table: revision.revision
        for revision in script.walk_revisions()
        for table in getattr(revision.module, "tables", ())
    }


def _named_in(source: str, makers: dict[str, str]) -> list[str]:
    users = f"{TABLE_PREFIX}users"
    named = {
        table
        for table in makers
        if re.search(rf"(?:\b{TABLE_PREFIX}|TABLE_PREFIX\}}){table[len(TABLE_PREFIX) :]}\b", source)
    }
    return sorted({makers[table] for table in named | {users}})


def _assigned(source: str, name: str) -> list[str]:
    value = ast.literal_eval(_value(source, name))
    return [value] if isinstance(value, str) else list(value or ())


def _assign(source: str, name: str, values: Iterable[str]) -> str:
    old, new = _value(source, name), tuple(values)
    text = ", ".join(f'"{value}"' for value in new)
    text = "None" if not new else text if len(new) == 1 else f"({text})"
    assert old.end_lineno is not None
    assert old.end_col_offset is not None
    # The value alone, as its annotation may have the same words. Offsets are those of bytes.
    lines = source.encode().splitlines(keepends=True)
    before, after = lines[old.lineno - 1][: old.col_offset], lines[old.end_lineno - 1]
    lines[old.lineno - 1 : old.end_lineno] = [before + text.encode() + after[old.end_col_offset :]]
    return b"".join(lines).decode()


def _value(source: str, name: str) -> ast.expr:
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert node.value is not None
            return node.value
    return ast.Constant(None)
