"""The guard accepts only queries that read and compute, and does not change their meaning.

Every attack is tested twice: the guard refuses it here, and `test_database.py` tests that the READ
ONLY transaction or the role refuses it without the guard.
"""

import pytest
from sqlglot import exp

from engine.toolkits.sql import database, guard
from engine.toolkits.sql.database import Analytics
from engine.toolkits.sql.guard import FUNCTIONS, MAX_SQL_CHARS, Query, Refused, check_query
from engine.tools.services import ToolRefusal

ATTACKS = {
    # Writing.
    "INSERT INTO orders VALUES (4)": "only SELECT",
    "UPDATE orders SET total = 0": "only SELECT",
    "DELETE FROM orders": "only SELECT",
    "MERGE INTO orders USING best ON true WHEN MATCHED THEN DELETE": "only SELECT",
    "TRUNCATE orders": "only SELECT",
    "DROP TABLE orders": "only SELECT",
    "CREATE TABLE stolen AS SELECT * FROM orders": "only SELECT",
    "ALTER SYSTEM SET log_statement = 'all'": "only SELECT",
    "GRANT SELECT ON salaries TO PUBLIC": "only SELECT",
    "REFRESH MATERIALIZED VIEW best": "only SELECT",
    "VALUES (1)": "only SELECT",
    # Other statements.
    "COPY orders TO PROGRAM 'sh -c id'": "only SELECT",
    "COPY (SELECT 1) TO '/tmp/out'": "only SELECT",
    "DO $$ BEGIN DELETE FROM orders; END $$": "only SELECT",
    "CALL grow()": "only SELECT",
    "EXPLAIN ANALYZE DELETE FROM orders": "only SELECT",
    "PREPARE p AS DELETE FROM orders": "only SELECT",
    "EXECUTE p": "only SELECT",
    "DECLARE c CURSOR FOR SELECT 1": "only SELECT",
    "SET ROLE postgres": "only SELECT",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE": "only SELECT",
    "RESET ALL": "only SELECT",
    "LOCK TABLE orders": "only SELECT",
    "LISTEN anything": "only SELECT",
    "NOTIFY anything": "only SELECT",
    "COMMIT": "only SELECT",
    "VACUUM": "only SELECT",
    "": "only SELECT",
    ";": "only SELECT",
    "-- nothing but a comment": "only SELECT",
    # Writing, hidden in a SELECT.
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone": "WITH may hold only",
    "WITH a AS (SELECT 1), b AS (UPDATE orders SET total = 0 RETURNING 1) SELECT 1": "WITH may",
    "WITH new AS (INSERT INTO orders VALUES (4) RETURNING 1) SELECT 1": "WITH may hold only",
    "WITH x AS (SELECT 1) DELETE FROM orders": "only SELECT",
    "WITH x AS (SELECT 1) INSERT INTO orders SELECT 5": "only SELECT",
    "SELECT 1 WHERE EXISTS (WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1 FROM x)": "WITH",
    "SELECT (WITH x AS (UPDATE orders SET total = 0 RETURNING 1) SELECT * FROM x)": "WITH may",
    "(WITH x AS (DELETE FROM orders RETURNING 1) SELECT * FROM x)": "WITH may hold only",
    "SELECT 1 UNION (WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1 FROM x)": "WITH may",
    "SELECT * INTO stolen FROM orders": "SELECT INTO",
    "SELECT * INTO TEMP stolen FROM orders": "SELECT INTO",
    # Locking.
    "SELECT * FROM orders FOR UPDATE": "lock rows",
    "SELECT * FROM orders FOR NO KEY UPDATE SKIP LOCKED": "lock rows",
    "SELECT * FROM orders FOR SHARE": "lock rows",
    "SELECT * FROM (SELECT * FROM orders FOR KEY SHARE) AS q": "lock rows",
    "SELECT 1 UNION (SELECT id FROM orders FOR UPDATE)": "lock rows",
    # Stacking.
    "SELECT 1; DELETE FROM orders": "only one statement",
    "SELECT 1;; SELECT 2": "only one statement",
    "SELECT 1 /* ; */ ; COMMIT; DELETE FROM orders --": "only one statement",
    "SELECT $$a$$; DROP TABLE orders; SELECT $$b$$": "only one statement",
    # Functions that read files, wait, signal, configure, write or run SQL from a string.
    "SELECT pg_read_file('/etc/passwd')": "pg_read_file is not on the list",
    "SELECT * FROM pg_ls_dir('/')": "pg_ls_dir is not on the list",
    "SELECT pg_stat_file('/etc/passwd')": "pg_stat_file is not on the list",
    "SELECT lo_import('/etc/passwd')": "lo_import is not on the list",
    "SELECT lo_export(1, '/tmp/out')": "lo_export is not on the list",
    "SELECT lo_get(1)": "lo_get is not on the list",
    "SELECT pg_sleep(60)": "pg_sleep is not on the list",
    "SELECT PG_SLEEP(60)": "pg_sleep is not on the list",
    "SELECT pg_sleep/**/(60)": "pg_sleep is not on the list",
    "SELECT pg_sleep_for('1 minute')": "pg_sleep_for is not on the list",
    'SELECT "pg_sleep"(60)': "without quotes",
    'SELECT U&"pg\\005fsleep"(60)': "without quotes",
    "SELECT pg_catalog.pg_sleep(60)": "without its schema",
    'SELECT "pg_catalog"."pg_sleep"(60)': "without",
    "SELECT * FROM pg_catalog.pg_sleep(60)": "system's tables",
    "SELECT {fn pg_sleep(60)}": "pg_sleep is not on the list",
    "SELECT 1 WHERE pg_sleep(60) IS NULL": "pg_sleep is not on the list",
    "SELECT 1 ORDER BY pg_sleep(60)": "pg_sleep is not on the list",
    "SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(60))": "pg_sleep is not on the list",
    "SELECT count(*) FILTER (WHERE pg_sleep(60) IS NULL) FROM orders": "pg_sleep is not",
    "SELECT sum(1) OVER (ORDER BY pg_sleep(60))": "pg_sleep is not on the list",
    "SELECT lower(CAST(pg_sleep(60) AS text))": "pg_sleep is not on the list",
    "SELECT CASE WHEN pg_sleep(60) IS NULL THEN 1 END": "pg_sleep is not on the list",
    "SELECT ARRAY[pg_sleep(60)]": "pg_sleep is not on the list",
    "SELECT 'a\\' || pg_sleep(60) --'": "pg_sleep is not on the list",
    "SELECT E'a\\'' || pg_sleep(60) --'": "pg_sleep is not on the list",
    "SELECT * FROM orders JOIN LATERAL pg_sleep(60) ON true": "pg_sleep is not on the list",
    "SELECT * FROM ROWS FROM (pg_sleep(60), generate_series(1, 2))": "pg_sleep is not on the list",
    "SELECT * FROM dblink('host=evil', 'SELECT 1') AS t(a int)": "dblink is not on the list",
    "SELECT dblink_exec('DELETE FROM orders')": "dblink_exec is not on the list",
    "SELECT query_to_xml('DELETE FROM orders', true, true, '')": "query_to_xml is not on the list",
    "SELECT table_to_xml('salaries', true, true, '')": "table_to_xml is not on the list",
    "SELECT ts_stat('SELECT 1')": "ts_stat is not on the list",
    "SELECT xmlparse(document '<a/>')": "cannot be read",
    "SELECT set_config('transaction_read_only', 'off', false)": "set_config is not on the list",
    "SELECT current_setting('data_directory')": "current_setting is not on the list",
    "SELECT pg_terminate_backend(1)": "pg_terminate_backend is not on the list",
    "SELECT pg_cancel_backend(1)": "pg_cancel_backend is not on the list",
    "SELECT pg_advisory_lock(1)": "pg_advisory_lock is not on the list",
    "SELECT pg_notify('a', 'b')": "pg_notify is not on the list",
    "SELECT pg_reload_conf()": "pg_reload_conf is not on the list",
    "SELECT pg_logical_emit_message(false, 'a', 'b')": "pg_logical_emit_message is not on",
    "SELECT pg_switch_wal()": "pg_switch_wal is not on the list",
    "SELECT nextval('s')": "nextval is not on the list",
    "SELECT setval('s', 1)": "setval is not on the list",
    "SELECT version()": "version is not on the list",
    "SELECT inet_server_addr()": "inet_server_addr is not on the list",
    "SELECT grow()": "grow is not on the list",
    "SELECT evil.lower('x')": "without its schema",
    "SELECT * FROM evil.lower('x')": "without its schema",
    "SELECT 1 OPERATOR(evil.+) 2": "OPERATOR",
    # An argument's name that is not an identifier.
    'SELECT make_interval("days => 1)::text, pg_sleep(2)::text, make_interval(days" => 1)': "quotes",
    "SELECT make_interval('days => 1), evil.lower(''x''), make_interval(days' => 1)": "quotes",
    "SELECT 1 FROM orders TABLESAMPLE evil (1)": "TABLESAMPLE is possible with",
    # The system's tables.
    "SELECT * FROM pg_authid": "system's tables",
    "SELECT * FROM pg_catalog.pg_shadow": "system's tables",
    "SELECT * FROM pg_temp_3.secrets": "system's tables",
    "SELECT query FROM PG_STAT_ACTIVITY": "system's tables",
    'SELECT * FROM "pg_settings"': "system's tables",
    "SELECT * FROM information_schema.tables": "system's tables",
    "SELECT 1 WHERE 1 IN (SELECT oid FROM pg_roles)": "system's tables",
    "TABLE pg_user": "only SELECT",
    # Syntax errors.
    "SELECT $1": "placeholders",
    "SELECT :name": "placeholders",
    "SELECT " + "(" * 3_000 + "1": "cannot be read",
    "SELECT 'never ends": "cannot be read",
    "SELECT 1 /* never ends": "cannot be read",
    f"SELECT {'1,' * MAX_SQL_CHARS}1": f"at most {MAX_SQL_CHARS} characters",
    "SELECT * FROM (INSERT INTO orders VALUES (4) RETURNING 1) AS q": "cannot be read",
    "Please delete all orders": "only SELECT",
    # Values that would be too large.
    "SELECT repeat('x', 1000000000)": "1000 at most",
    "SELECT repeat('x', id) FROM orders": "written out",
    "SELECT lpad('x', 1000000000)": "1000 at most",
    "SELECT rpad('x', (SELECT 1000000000))": "written out",
    "SELECT repeat(repeat(repeat('x', 1000), 1000), 1000)": "too large",
    "WITH a AS (SELECT repeat('x', 1000) AS s) SELECT repeat(s, 1000) FROM a": "too large",
    "SELECT repeat(s, 1000) FROM (SELECT repeat('x', 1000) AS s) AS q": "too large",
    "SELECT 1 WHERE 'x' = (SELECT repeat(s, 999) FROM (SELECT repeat('x', 999)) AS q(s))": "too large",
    "SELECT " + "replace(" * 4 + "'x'" + f", 'x', '{'x' * 99}')" * 4: "too large",
    f"SELECT replace(customer, 'a', '{'b' * 101}') FROM orders": "at most 100 characters",  # noqa: S608
    "SELECT replace(customer, 'a', customer) FROM orders": "written out",
    "SELECT " + "regexp_replace(" * 3 + "'x'" + f", '', '{'x' * 99}', 'g')" * 3: "too large",
    "SELECT format('%1000000000s', 'x')": "at most",
    "SELECT format('%*s', 1000000000, 'x')": "without a computed width",
    "SELECT " + "to_json(" * 9 + "'x'" + ")::text" * 9: "too large",
    "SELECT concat(" + ", ".join(["repeat('x', 1000)"] * 101) + ")": "too large",
    "SELECT string_agg(customer, repeat('x', 9)) FROM orders": "written out",
    "SELECT " + ", ".join(["array_agg(id)"] * 5) + " FROM orders": "at most 4 of",  # noqa: S608
    "SELECT " + ", ".join(["string_agg(customer, ',')"] * 5) + " FROM orders": "at most 4 of",  # noqa: S608
    "SELECT * FROM generate_series(1, 10000000000)": "at most 1,000,000 values",
    "SELECT * FROM generate_series(1, -10000000000, -5)": "at most 1,000,000 values",
}


@pytest.mark.parametrize("sql", ATTACKS)
def test_an_attack_is_refused(sql: str) -> None:
    with pytest.raises(Refused, match=ATTACKS[sql]):
        check_query(sql)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (exp.Delete(), "it would write"),
        (exp.Create(), "it would change the schema"),
        (exp.Command(), "only SELECT is possible"),
        (exp.SessionParameter(), "session parameters"),
    ],
)
def test_forbidden_nodes_are_refused(node: exp.Expr, reason: str) -> None:
    """Other checks catch these now; a new version of the parser may change that."""
    with pytest.raises(Refused, match=reason):
        guard._check(node)


def test_the_generated_statement_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of sqlglot's generator with names of arguments; its output is checked again."""
    monkeypatch.setattr(guard, "_check_argument_name", lambda argument: None)
    for inner, why in (
        ("pg_sleep(2)", "pg_sleep is not on the list"),
        ("(SELECT max(query) FROM pg_stat_activity)", "system's tables"),
        ("now()", "understood in two ways"),
    ):
        with pytest.raises(Refused, match=why):
            check_query(f'SELECT make_interval("days => 1), {inner}, make_interval(days" => 1)')


@pytest.mark.parametrize("sql", [sql for sql in ATTACKS if len(sql) < 1_000])
async def test_a_refused_query_is_not_executed(analytics: Analytics, sql: str) -> None:
    with pytest.raises(ToolRefusal, match="the query was refused: "):
        await analytics.query(sql)


QUERIES = [
    "SELECT customer, sum(total) FROM orders GROUP BY customer ORDER BY 2 DESC;",
    "select * from best order by spent",
    "WITH o AS (SELECT * FROM orders WHERE placed >= DATE '2026-02-01') SELECT count(*) FROM o",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
    "SELECT to_char(total, 'FM999D00'), to_char(placed, 'FMDay DD. \"Mon\" YYYY') FROM orders",
    "SELECT date_trunc('month', placed)::date AS month, count(DISTINCT customer) FROM orders"
    " GROUP BY 1 HAVING count(*) > 0 ORDER BY month",
    "SELECT extract(year FROM placed), date_part('dow', placed), placed - 7 FROM orders",
    "SELECT placed + interval '1 month 2 days', age(placed, '2026-01-01') FROM orders",
    "SELECT extra->'tags'->>0, extra #>> '{tags,1}', extra @> '{\"tags\": []}' FROM orders",
    "SELECT jsonb_array_elements_text(extra->'tags') FROM orders",
    "SELECT id, rank() OVER (PARTITION BY customer ORDER BY total DESC) FROM orders ORDER BY id",
    "SELECT sum(total) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    "SELECT string_agg(customer, ', ' ORDER BY customer) FILTER (WHERE total > 15) FROM orders",
    "SELECT DISTINCT ON (customer) customer, total FROM orders ORDER BY customer, total DESC",
    "SELECT coalesce(sum(total), 0)::numeric(12, 1) / nullif(count(*), 0) FROM orders",
    "SELECT 7 / 2, 7 % 2, 2 ^ 3, |/ 16, mod(7, 2), round(2.5), ceil(1.2), to_hex(255)",
    "SELECT CASE WHEN total > 15 THEN 'much' ELSE 'little' END FROM orders ORDER BY id",
    "SELECT customer FROM orders WHERE customer ILIKE 'a%' OR customer ~* '^g' ORDER BY id",
    "SELECT upper(customer) || '''s', left(customer, 2), E'tab\\there', $$dollar;$$ FROM orders",
    "SELECT substring('Thomas' FROM 2 FOR 3), position('m' IN 'Thomas'), trim(BOTH 'x' FROM 'xax')",
    "SELECT regexp_replace('a1b2', '[0-9]', '#', 'g'), split_part('a,b', ',', 2), md5('a')",
    "SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g(x, n) ORDER BY n DESC",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) ORDER BY x DESC",
    "SELECT a.id, b.id FROM orders AS a LEFT JOIN LATERAL"
    " (SELECT id FROM orders WHERE id > a.id ORDER BY id LIMIT 1) AS b ON true ORDER BY a.id",
    "SELECT id FROM orders UNION ALL SELECT 9 ORDER BY 1 LIMIT 2 OFFSET 1",
    "(SELECT 1) UNION (SELECT 2) ORDER BY 1",
    "SELECT customer, count(*), grouping(customer) FROM orders GROUP BY ROLLUP (customer) ORDER BY 1",
    'SELECT "a ""b"" c" AS "Größe; x" FROM "Odd One"."Sales; 2026"',
    "SELECT exists(SELECT 1 FROM orders), array[1, 2], array(SELECT id FROM orders ORDER BY id)",
    "SELECT 1 AS same, 2 AS same",
    "SELECT NULL, true, 1.50::float8, now() - now(), current_date = now()::date",
    "SELECT row_to_json(o) FROM orders AS o ORDER BY id -- the comment goes",
    "SELECT id FROM orders ORDER BY total DESC NULLS LAST FETCH FIRST 2 ROWS ONLY",
    "SELECT o.id, o.total FROM orders AS o WHERE (o.extra) IS NULL",
    "SELECT make_interval(days => 3), lpad(id::text, 5, '0'), repeat('=', 20) FROM orders",
    "SELECT format('%s: %5s', customer, total), replace(customer, 'A', 'Å') FROM orders",
    "SELECT string_agg(replace(replace(customer, 'a', ''), 'd', '++'), ', ') FROM orders",
    "SELECT id FROM orders WHERE " + " OR ".join(f"id = {number}" for number in range(200)),  # noqa: S608
    "SELECT id FROM orders TABLESAMPLE BERNOULLI (100)",
    "SELECT * FROM parts",
]


@pytest.mark.parametrize("sql", QUERIES)
async def test_a_query_keeps_its_meaning(
    analytics: Analytics, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = await analytics.query(sql)
    assert guarded.rows or sql == "SELECT * FROM parts"

    # The original query, for comparison.
    monkeypatch.setattr(database, "check_query", lambda sql: Query(sql.rstrip(";").partition("--")[0]))
    assert guarded.rows == (await analytics.query(sql)).rows


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_an_allowed_function_is_unchanged(name: str) -> None:
    with_syntax = {
        "decode": "'61', 'hex'",
        "format": "'%s', a",
        "date_part": "'year', a",
        "string_agg": "a, ','",
    }
    special = {"cast", "extract", "overlay", "position", "json_object", "case", "array", "exists"}
    if name in special | {"all", "any", "some", "date_part"}:
        return  # the queries above use them
    arguments = with_syntax.get(name, "a")
    assert check_query(f"SELECT {name}({arguments})").sql.lower() == f"select {name}({arguments})"
