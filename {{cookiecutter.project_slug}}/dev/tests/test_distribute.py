"""The tables on a Citus cluster: the order, the columns, and what a plain PostgreSQL is told.

A stand-in for Citus refuses what its documentation says that Citus refuses. That a real cluster
then serves is not shown here.
"""

import asyncio
import secrets
from collections.abc import Iterator

import asyncpg
import pytest

from dev import __main__ as cli
from engine.database.database import TABLE_PREFIX
from engine.database.tables import owned_tables, tables_of_every_node
from engine.operate.commands.migrate import upgrade
from engine.settings.database_url import connect_options
from engine.tests.fixtures import new_database

STAND_IN = """
CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY, partkey text);

CREATE FUNCTION create_reference_table(name regclass) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pg_dist_partition VALUES (name, NULL)
$$;

CREATE FUNCTION create_distributed_table(
    name regclass, col text, colocate_with text DEFAULT 'default'
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE attr smallint := (
    SELECT attnum FROM pg_attribute WHERE attrelid = name AND attname = col
);
BEGIN
    IF colocate_with <> 'none'
       AND colocate_with::regclass NOT IN (SELECT logicalrelid FROM pg_dist_partition) THEN
        RAISE 'relation % is not distributed', colocate_with;
    END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = name AND indisunique
               AND NOT attr = ANY(indkey)) THEN
        RAISE 'unique index on % without %', name, col;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = name AND attidentity <> ''
               AND atttypid <> 'bigint'::regtype) THEN
        RAISE 'identity column of % is not bigint', name;
    END IF;
    IF EXISTS (
        SELECT FROM pg_constraint c LEFT JOIN pg_dist_partition d ON d.logicalrelid = c.confrelid
        LEFT JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attname = d.partkey
        WHERE c.contype = 'f' AND c.conrelid = name
        AND (a.attnum IS NULL
             OR c.confkey[array_position(c.conkey, attr)] IS DISTINCT FROM a.attnum)
    ) THEN
        RAISE 'foreign key of % leaves its node', name;
    END IF;
    INSERT INTO pg_dist_partition VALUES (name, col);
END $$;
"""


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_database(postgres_url, f"citus_{secrets.token_hex(4)}") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        upgrade(url)
        yield url


def test_every_table_is_distributed_by_its_owner(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(execute(url, STAND_IN))

    assert cli.main(["db", "distribute"]) == 0

    owners = {table.name: "user_id" for table in owned_tables()} | {f"{TABLE_PREFIX}users": "id"}
    everywhere = [table.name for table in tables_of_every_node()]
    assert capsys.readouterr().out.splitlines() == [
        *(f"{table.name}: by {owners[table.name]}" for table in owned_tables()),
        *(f"{name}: on every node" for name in everywhere),
    ]

    assert cli.main(["db", "distribute"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again == [f"{table.name}: distributed already" for table in owned_tables()]


def test_what_is_printed_is_what_would_be_done(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["db", "distribute", "--sql"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == (
        f"SELECT create_distributed_table('{TABLE_PREFIX}users', 'id', colocate_with => 'none');"
    )

    asyncio.run(execute(url, STAND_IN + printed))

    assert cli.main(["db", "distribute"]) == 0
    assert capsys.readouterr().out.count("distributed already") == len(owned_tables())


@pytest.mark.usefixtures("url")
def test_a_plain_postgresql_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["db", "distribute"]) == 1
    assert capsys.readouterr().out.startswith("This database has no Citus")


async def execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(**connect_options(url))
    try:
        await connection.execute(script)
    finally:
        await connection.close()
