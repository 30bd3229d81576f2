"""An analytics database on the tests' server, and a role that may only read some of it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from engine.settings.database_url import connect_options
from engine.tests.fixtures import new_database
from engine.toolkits.sql.database import Analytics, AnalyticsSettings

SHOP = """
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(10, 2), placed date, extra jsonb);
COMMENT ON TABLE orders IS 'One row for each order';
COMMENT ON COLUMN orders.total IS 'in euros';
INSERT INTO orders VALUES
    (1, 'Ada', 10.50, '2026-01-31', '{"tags": ["a b", "c"]}'),
    (2, 'Grace', 20, '2026-02-01', NULL),
    (3, 'Ada', 30.25, '2026-02-14', '{"tags": []}');
CREATE VIEW best AS SELECT customer, sum(total) AS spent FROM orders GROUP BY customer;
CREATE TABLE parts (id int, month int) PARTITION BY LIST (month);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE SCHEMA "Odd One";
CREATE TABLE "Odd One"."Sales; 2026" ("a ""b"" c" int);
INSERT INTO "Odd One"."Sales; 2026" VALUES (7);
CREATE TABLE salaries (name text, salary int);
INSERT INTO salaries VALUES ('Ada', 1234567);
CREATE FUNCTION grow() RETURNS int LANGUAGE sql AS
    'INSERT INTO orders VALUES (99, ''hidden'') RETURNING id';
CREATE SCHEMA evil;
CREATE FUNCTION evil.lower(text) RETURNS int LANGUAGE sql AS 'SELECT public.grow()';
"""
ROLE = """
CREATE ROLE {role} LOGIN PASSWORD '{password}';
ALTER ROLE {role} SET temp_file_limit = '256MB';
GRANT USAGE ON SCHEMA public, "Odd One", evil TO {role};
GRANT SELECT ON orders, best, parts, parts_1, "Odd One"."Sales; 2026" TO {role};
"""


@contextmanager
def shop(postgres_url: str) -> Iterator[str]:
    """Create the database; returns the superuser's URL."""
    with new_database(postgres_url, f"shop_{secrets.token_hex(4)}") as url:
        execute(url, SHOP)
        yield url


@contextmanager
def reader(shop_url: str) -> Iterator[str]:
    """The URL of a role that may read some tables. test_role.py has the documentation's role."""
    role, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(16)
    execute(shop_url, ROLE.format(role=role, password=password))
    as_role = make_url(shop_url).set(username=role, password=password)
    yield as_role.render_as_string(hide_password=False)
    execute(shop_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


@asynccontextmanager
async def analytics_at(url: str, **settings: Any) -> AsyncIterator[Analytics]:
    analytics = Analytics(AnalyticsSettings(analytics_database_url=url, **settings))
    await analytics.start()
    yield analytics
    await analytics.close()


def execute(url: str, statements: str) -> None:
    async def connect_and_execute() -> None:
        connection = await asyncpg.connect(**connect_options(url))
        await connection.execute(statements)
        await connection.close()

    asyncio.run(connect_and_execute())
