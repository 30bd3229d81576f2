"""`python3 -m app migration "dice rolls"`: the application's next migration, from its tables."""

import argparse
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    migration = commands.add_parser(
        "migration",
        help="write the next migration of your tables",
        epilog='example: python3 -m app migration "dice rolls"',
    )
    migration.add_argument("message", nargs="?", help='what it is for, such as "dice rolls"')
    migration.add_argument("--empty", action="store_true", help="with nothing in it")
    migration.add_argument(
        "--adopt",
        action="store_true",
        help="give your migrations of an older project a branch of their own",
    )
    return migration


def run(options: argparse.Namespace) -> int:
    if options.adopt:
        return _adopt()
    if not options.message:
        print('What is it for? Say: python3 -m app migration "dice rolls"')
        return 1
    from engine.operate.commands.database import database_url
    from engine.operate.commands.migrate import refuse_unless_migrated

    refuse_unless_migrated(database_url())
    return _write(options.message, is_empty=options.empty)


def _write(message: str, *, is_empty: bool) -> int:
    from engine.database.autogenerate import write_migration

    path = write_migration(message, is_empty=is_empty)
    if path is None:
        print("Nothing to write: the tables of the database are those of the code.")
        return 0
    print(f"{path}\nRead it, change it where it is wrong, then: python3 -m app migrate")
    return 0


def _adopt() -> int:
    from engine.database.autogenerate import give_own_branch

    changed = give_own_branch()
    print("Changed:" if changed else "Each of your migrations is on a branch of its own.")
    for name in changed:
        print(f"  {name}")
    return 0
