"""The role that docs/configure.md creates, without the other protections."""

import re
import secrets
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url

from engine.settings.database_url import connect_options
from engine.settings.settings import PROJECT_ROOT
from engine.tests.fixtures import new_database
from engine.tests.toolkits.sql.shop import analytics_at, execute

SHOP = """
CREATE SCHEMA reporting;
CREATE TABLE reporting.orders (id int, total numeric);
INSERT INTO reporting.orders VALUES (1, 10);
CREATE TABLE public.salaries (salary int);
INSERT INTO public.salaries VALUES (1234567);
CREATE FUNCTION public.all_salaries() RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT string_agg(salary::text, '','') FROM public.salaries';
CREATE FUNCTION reporting.secret_of(reporting.orders) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT string_agg(salary::text, '','') FROM public.salaries';
"""
LATER = """
CREATE TABLE reporting.later (id int);
CREATE FUNCTION reporting.later() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ''x''';
"""


def documented(role: str, database: str, password: str) -> str:
    text = (PROJECT_ROOT / "docs" / "configure.md").read_text(encoding="utf-8")
    found = re.search(r"```sql\n(CREATE ROLE chat_reader.+?)```", text, re.S)
    assert found is not None
    named = found[1].replace("chat_reader", role).replace("DATABASE shop", f"DATABASE {database}")
    return named.replace("…", password)


@pytest.fixture(scope="module")
def role_url(postgres_url: str) -> Iterator[str]:
    suffix, password = secrets.token_hex(4), secrets.token_hex(16)
    role, name = f"chat_reader_{suffix}", f"shop_{suffix}"
    with new_database(postgres_url, name) as url:
        execute(url, SHOP)
        execute(url, documented(role, name, password))
        execute(url, LATER)
        as_role = make_url(url).set(username=role, password=password)
        yield as_role.render_as_string(hide_password=False)
        execute(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest_asyncio.fixture
async def connection(role_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**connect_options(role_url))
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", ["orders", "later"])
async def test_it_reads_the_granted_tables(connection: asyncpg.Connection, name: str) -> None:
    assert await connection.fetchval(f"SELECT count(*) FROM reporting.{name}") is not None  # noqa: S608


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM public.salaries",
        "SELECT public.all_salaries()",
        "SELECT o.secret_of FROM reporting.orders AS o",
        "SELECT reporting.secret_of(o) FROM reporting.orders AS o",
        "SELECT reporting.later()",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "INSERT INTO reporting.orders VALUES (2)",
        "CREATE TEMPORARY TABLE a (id int)",
        "CREATE TABLE public.a (id int)",
        "CREATE TABLE reporting.a (id int)",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER ROLE CURRENT_USER SET temp_file_limit = '-1'",
        "SET temp_file_limit = '-1'",
        "CREATE DATABASE more",
        "SET ROLE postgres",
    ],
)
async def test_everything_else_is_denied(connection: asyncpg.Connection, sql: str) -> None:
    """In a transaction that may write, because READ ONLY is another protection."""
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute("SET search_path = reporting, public")
    with pytest.raises(asyncpg.PostgresError, match=r"permission denied|must be|not permitted"):
        await connection.execute(sql)


async def test_its_transactions_are_read_only(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await connection.execute("SELECT lo_create(0)")


async def test_its_temporary_files_have_a_limit(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SHOW temp_file_limit") == "256MB"


async def test_doctor_accepts_it(role_url: str) -> None:
    async with analytics_at(role_url) as analytics:
        assert "only reads" in await analytics.check()
