"""The protections behind the guard: transaction, limits and role; and an unavailable server."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import ValidationError

from engine.settings.database_url import connect_options
from engine.tests.talk import PATIENCE_SECONDS
from engine.tests.toolkits.sql.shop import analytics_at
from engine.toolkits.sql import database
from engine.toolkits.sql.database import MAX_CELL_CHARS, Analytics, AnalyticsSettings
from engine.toolkits.sql.guard import Query
from engine.tools.services import ToolRefusal


@pytest.fixture
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "check_query", Query)


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT grow()",
        "SELECT evil.lower('x')",
        "SELECT nextval('numbers')",
        "SELECT lo_create(0)",
        "SELECT pg_catalog.set_config('transaction_read_only', 'off', true), grow()",
        "SELECT * FROM orders FOR UPDATE",
        "DELETE FROM orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1) AS q (c0); DELETE FROM orders; --",
        "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT * FROM gone",
    ],
)
async def test_without_the_guard_even_a_superuser_cannot_write(
    as_superuser: Analytics, shop_url: str, sql: str
) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    await connection.execute("CREATE SEQUENCE IF NOT EXISTS numbers")
    with pytest.raises(ToolRefusal):
        await as_superuser.query(sql)
    assert await connection.fetchval("SELECT count(*) FROM orders") == 3
    await connection.close()


@pytest.mark.usefixtures("no_guard")
async def test_a_write_is_refused_by_the_transaction(as_superuser: Analytics) -> None:
    with pytest.raises(ToolRefusal, match="it can only read"):
        await as_superuser.query("SELECT grow()")


@pytest.mark.parametrize("sql", ["SELECT * FROM salaries", "SELECT count(*) FROM salaries"])
async def test_the_role_limits_what_is_read(analytics: Analytics, sql: str) -> None:
    with pytest.raises(ToolRefusal, match="PostgreSQL says: permission denied for table salaries"):
        await analytics.query(sql)
    assert "salaries" not in str(await analytics.tables(""))


# Infinite: rows are produced only as they are read.
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT x FROM n"


async def test_rows_are_limited(reader_url: str) -> None:
    async with analytics_at(reader_url, analytics_max_rows=2) as analytics:
        cut = await analytics.query("SELECT id FROM orders ORDER BY id DESC")
        whole = await analytics.query("SELECT id FROM orders WHERE id < 3 ORDER BY id")
        endless = await analytics.query(ENDLESS)
    assert (cut.rows, cut.is_cut) == ([["3"], ["2"]], True)
    assert (whole.rows, whole.is_cut) == ([["1"], ["2"]], False)
    assert endless.is_cut


@pytest.mark.usefixtures("no_guard")
async def test_cells_are_cut(analytics: Analytics) -> None:
    result = await analytics.query("SELECT repeat('x', 10000000), repeat('y', 1000)")
    assert result.rows == [["x" * MAX_CELL_CHARS + "…", "y" * 1000]]


@pytest.mark.usefixtures("no_guard")
async def test_cells_are_cut_by_the_server(analytics: Analytics) -> None:
    tracemalloc.start()
    result = await analytics.query("SELECT repeat('x', 1000000) FROM generate_series(1, 50)")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(result.rows) == 50
    assert most < 10_000_000


async def test_columns_are_limited(analytics: Analytics) -> None:
    with pytest.raises(ToolRefusal, match="1 to 100 columns"):
        await analytics.query("SELECT " + ", ".join(["1"] * 101))
    with pytest.raises(ToolRefusal, match="1 to 100 columns"):
        await analytics.query("SELECT FROM orders")


async def test_a_slow_query_is_cancelled(reader_url: str) -> None:
    async with analytics_at(reader_url, analytics_timeout_seconds=1.5) as analytics:
        with pytest.raises(ToolRefusal, match=r"stopped after 1.5 seconds"):
            await asyncio.wait_for(analytics.query(SLOW), PATIENCE_SECONDS)
        assert (await analytics.query("SELECT 1")).rows == [["1"]]


@pytest.mark.usefixtures("no_guard")
async def test_an_idle_transaction_ends(analytics: Analytics) -> None:
    setting = "current_setting('idle_in_transaction_session_timeout')"
    assert (await analytics.query(f"SELECT {setting}")).rows == [["15s"]]


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("work_mem", "16MB"),
        ("hash_mem_multiplier", "1"),
        ("max_parallel_workers_per_gather", "0"),
        ("temp_file_limit", "256MB"),
    ],
)
async def test_memory_and_temporary_files_are_limited(
    analytics: Analytics, as_superuser: Analytics, setting: str, value: str
) -> None:
    for asked in (analytics, as_superuser):
        found = await asked.query(f"SELECT current_setting('{setting}')")
        assert found.rows == [[value]]


async def test_a_locked_table_times_out(
    analytics: Analytics, shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.2)
    connection = await asyncpg.connect(**connect_options(shop_url))
    async with connection.transaction():
        await connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(ToolRefusal, match="lock timeout"):
            await analytics.query("SELECT * FROM orders")
    await connection.close()


# It takes hours but little space, because each side is materialized before the join.
SLOW = "SELECT count(*) FROM generate_series(1, 234567) AS a(x), generate_series(1, 234567) AS b(y)"


async def test_a_cancelled_query_ends_on_the_server(analytics: Analytics, shop_url: str) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    asked = asyncio.create_task(analytics.query(SLOW))
    await until(connection, running=1)
    asked.cancel()
    await until(connection, running=0)
    with pytest.raises(asyncio.CancelledError):
        await asked
    await connection.close()


async def until(connection: asyncpg.Connection, *, running: int) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
    async with asyncio.timeout(60):
        while await connection.fetchval(count, "%234567%") != running:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_strings_are_standard_conforming(reader_url: str, shop_url: str) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    role = connect_options(reader_url)["user"]
    await connection.execute(f"ALTER ROLE {role} SET standard_conforming_strings = off")
    try:
        async with analytics_at(reader_url) as analytics:
            assert (await analytics.query(r"SELECT 'a\', 'b'")).rows == [["a\\", "b"]]
    finally:
        await connection.execute(f"ALTER ROLE {role} RESET standard_conforming_strings")
        await connection.close()


async def test_tables_are_listed_with_columns_and_comments(analytics: Analytics) -> None:
    [orders] = await analytics.tables("ORDERS")
    assert orders.name == "public.orders"
    assert orders.comment == "One row for each order"
    assert orders.columns == (
        "id integer, customer text, total numeric(10,2) (in euros), placed date, extra jsonb"
    )
    names = [table.name for table in await analytics.tables("")]
    assert names == ['"Odd One"."Sales; 2026"', "public.best", "public.orders", "public.parts"]
    assert await analytics.tables("nothing' OR true --") == []


async def test_an_error_has_the_servers_message(analytics: Analytics) -> None:
    for sql, words in (
        ("SELECT nothing FROM orders", 'column "nothing" does not exist'),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT 1 / 0", "division by zero"),
    ):
        with pytest.raises(ToolRefusal, match=f"PostgreSQL says: {words}"):
            await analytics.query(sql)


async def test_doctor_reports_a_role_that_can_write(
    analytics: Analytics, as_superuser: Analytics
) -> None:
    assert "only reads" in await analytics.check()
    with pytest.raises(ToolRefusal, match="a role that may write"):
        await as_superuser.check()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (60::float8).pg_sleep",
        "SELECT o.pg_sleep FROM generate_series(60, 61) AS o",
        'SELECT ("o")."pg_sleep" FROM generate_series(60, 61) AS o',
        "SELECT o.PG_SLEEP FROM generate_series(60, 61) AS o",
        "SELECT ('data_directory'::text).current_setting",
        "SELECT o.income_of FROM orders AS o",
        "SELECT (o).income_of FROM orders AS o",
        "SELECT (SELECT o FROM orders AS o LIMIT 1).income_of",
        "SELECT id FROM orders AS o ORDER BY o.income_of",
        f"SELECT o.{'long_' * 13} FROM orders AS o",  # noqa: S608 — cut to 63 bytes, it is the name of a function
    ],
)
async def test_a_name_behind_a_dot_calls_no_function(
    analytics: Analytics, shop_url: str, sql: str
) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    for name in ("income_of", ("long_" * 13)[:63]):
        await connection.execute(
            f"CREATE OR REPLACE FUNCTION {name}(orders) RETURNS text IMMUTABLE LANGUAGE sql"
            " AS $$SELECT 'a secret'$$"
        )
    await connection.close()
    with pytest.raises(ToolRefusal, match="would call the function of that name"):
        await analytics.query(sql)


async def test_a_column_may_have_the_name_of_a_type_or_function(analytics: Analytics) -> None:
    sql = 'SELECT q."date", q.length, q.name, q.sum FROM (SELECT 1, 2, 3, 4) AS q(date, length, name, sum)'
    assert (await analytics.query(sql)).rows == [["1", "2", "3", "4"]]


async def test_doctor_reports_a_security_definer_function(
    analytics: Analytics, shop_url: str
) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    await connection.execute(
        "CREATE FUNCTION evil.all() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    )
    try:
        with pytest.raises(ToolRefusal, match=r'REVOKE EXECUTE ON FUNCTION evil."all" FROM PUBLIC'):
            await analytics.check()
    finally:
        await connection.execute("DROP FUNCTION evil.all()")
        await connection.close()


async def test_doctor_reports_unlimited_temporary_files(reader_url: str, shop_url: str) -> None:
    connection = await asyncpg.connect(**connect_options(shop_url))
    role = connect_options(reader_url)["user"]
    await connection.execute(f"ALTER ROLE {role} RESET temp_file_limit")
    try:
        async with analytics_at(reader_url) as analytics:
            with pytest.raises(ToolRefusal, match="SET temp_file_limit = '256MB'"):
                await analytics.check()
    finally:
        await connection.execute(f"ALTER ROLE {role} SET temp_file_limit = '256MB'")
        await connection.close()


async def test_without_a_database_it_says_what_to_set() -> None:
    analytics = Analytics(AnalyticsSettings())
    await analytics.start()
    for asked in (analytics.query("SELECT 1"), analytics.tables(""), analytics.check()):
        with pytest.raises(ToolRefusal, match="ANALYTICS_DATABASE_URL is not set"):
            await asked
    await analytics.close()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """Accepts connections and never responds."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


async def test_an_unavailable_database_times_out(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 0.2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed_port = probe.getsockname()[1]
    for place in (f"127.0.0.1:{silent_port}", f"127.0.0.1:{closed_port}", "nowhere.invalid:5432"):
        async with analytics_at(f"postgresql://user:geheim@{place}/shop") as analytics:
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(ToolRefusal, match="does not answer"):
                    await analytics.query("SELECT 1")


async def test_broken_connections_are_replaced(analytics: Analytics, shop_url: str) -> None:
    await analytics.query("SELECT 1")
    connection = await asyncpg.connect(**connect_options(shop_url))
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    await connection.close()
    answers = [
        await asyncio.gather(analytics.query("SELECT 1"), return_exceptions=True) for _ in "ab"
    ]
    assert not isinstance(answers[-1][0], BaseException)


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@x@h/d", "postgresql://u@h/d?pgbouncer=true"]
)
def test_its_url_is_checked(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AnalyticsSettings(analytics_database_url=url)
    assert "s3cret" not in str(refused.value)


async def test_the_parameters_of_its_url_are_applied(shop_url: str) -> None:
    url = f"{shop_url}{'&' if '?' in shop_url else '?'}application_name=asks&connect_timeout=7"
    analytics = Analytics(AnalyticsSettings(analytics_database_url=url))
    await analytics.start()
    assert analytics._pool is not None
    async with analytics._pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_setting('application_name')") == "asks"
    assert analytics._connect_seconds == 7
    await analytics.close()
