"""Creates millions of conversations inside PostgreSQL, and keeps them for the next run.

Half of all threads belong to one user, who also has one thread with a hundredth of all items. Other
threads have about ten items. A hundred threads grow at a time, so that the items of a thread are not
stored next to each other, as in production.

INSERT … SELECT is faster than COPY: 200,000 items take 2.2 seconds, and with COPY 2.9 plus 1.2 to
create the rows in Python. Tables and indexes have the same content.
"""

import time
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema, DropSchema

from benchmarks import stage
from benchmarks.rival import SCHEMA, Base

HEAVY_USER = "user_0"
ITEMS_PER_THREAD = 10
THREADS_PER_STEP = 50_000

_OWNER = "CASE WHEN {t} % 2 = 0 THEN 'user_0' ELSE 'user_' || 1 + {t} % {others} END"
_THREAD_ID = "'thr_' || lpad(to_hex({t}), 32, '0')"
_TIME = "timestamp '2025-01-01' + {n} * interval '3 seconds'"

_USERS = "INSERT INTO chatkit_users (id) SELECT 'user_' || n FROM generate_series(0, $1::int) n"

_THREADS = f"""
INSERT INTO chatkit_threads (user_id, id, payload, created_at, updated_at)
SELECT {_OWNER}, {_THREAD_ID}, jsonb_build_object(
    'id', {_THREAD_ID}, 'title', 'What the weather was on day ' || {{t}}, 'created_at', {_TIME},
    'status', jsonb_build_object('type', 'active'), 'metadata', jsonb_build_object(),
    'allowed_image_domains', jsonb_build_array()), {_TIME}, {_TIME}
FROM generate_series($1::bigint, $2::bigint - 1) t
""".replace("{n}", "t").replace("{t}", "t")

# Every other item is an answer of about 500 characters.
_ITEM = """
INSERT INTO chatkit_thread_items (user_id, thread_id, id, type, payload, created_at)
SELECT owner, thread, id, type, jsonb_build_object(
    'id', id, 'thread_id', thread, 'created_at', made, 'type', type,
    'content', jsonb_build_array(
        CASE type WHEN 'user_message'
        THEN jsonb_build_object('type', 'input_text', 'text', repeat('What was it like? ', 4))
        ELSE jsonb_build_object('type', 'output_text', 'annotations', jsonb_build_array(),
                                'text', repeat('It was *warm*, and then it rained. ', 15))
        END))
    || CASE type WHEN 'user_message'
       THEN '{"attachments": [], "quoted_text": null, "inference_options": {}}'::jsonb
       ELSE '{}' END, made
FROM rows
"""

_ITEMS = (
    f"""
WITH places AS (
    SELECT n, ($1::bigint + n / 1000 * 100 + n % 100) AS t FROM generate_series(0, $2::bigint - 1) n
), rows AS (
    SELECT {_OWNER} AS owner, {_THREAD_ID} AS thread,
        'msg_' || lpad(to_hex($1::bigint * {ITEMS_PER_THREAD} + n), 32, '0') AS id,
        CASE WHEN n / 100 % 2 = 0 THEN 'user_message' ELSE 'assistant_message' END AS type,
        {_TIME.replace("{n}", f"($1::bigint * {ITEMS_PER_THREAD} + n)")} AS made
    FROM places ORDER BY n
)""".replace("{t}", "t")
    + _ITEM
)

_LONG_THREAD = (
    f"""
WITH rows AS (
    SELECT 'user_0' AS owner, {_THREAD_ID.replace("{t}", "0")} AS thread,
        'msg_long_' || lpad(to_hex(n), 27, '0') AS id,
        CASE WHEN n % 2 = 0 THEN 'user_message' ELSE 'assistant_message' END AS type,
        {_TIME.replace("{n}", "($1::bigint * 100 + n)")} AS made
    FROM generate_series(0, $1::bigint - 1) n ORDER BY n
)"""
    + _ITEM
)

# Without visitors of other benchmarks.
_SKETCH = [
    f"""INSERT INTO {SCHEMA}.users (id, name)
        SELECT substr(id, 6)::int, id FROM chatkit_users WHERE starts_with(id, 'user_')""",
    f"""INSERT INTO {SCHEMA}.chatkit_threads
            (id, user_id, title, created_at, updated_at, thread_metadata)
        SELECT id, substr(user_id, 6)::int, payload->>'title', created_at, updated_at, '{{}}'
        FROM chatkit_threads WHERE starts_with(user_id, 'user_')""",
    f"""INSERT INTO {SCHEMA}.chatkit_thread_items (id, thread_id, item_type, content, created_at)
        SELECT id, thread_id, type, payload::text, created_at
        FROM chatkit_thread_items WHERE starts_with(user_id, 'user_') ORDER BY seq""",
]


@dataclass(frozen=True)
class Data:
    """A loaded database. Its heaviest user owns every other thread, and all items of `long`."""

    url: str
    threads: int

    @property
    def users(self) -> int:
        return max(2, self.threads // 100)

    @property
    def long_thread(self) -> str:
        return thread_id(0)

    @property
    def long_items(self) -> int:
        return self.threads * ITEMS_PER_THREAD // 100

    def thread_at(self, depth: float) -> str:
        """The heavy user's thread at `depth`, 0 to 1, of the list with the newest first."""
        return thread_id(int(self.threads * (1 - depth)) // 2 * 2)

    def item_at(self, depth: float) -> str:
        """The item at `depth` of the long thread."""
        return f"msg_long_{int(self.long_items * (1 - depth)):027x}"


def thread_id(number: int) -> str:
    return f"thr_{number:032x}"


async def load(server_url: str, threads: int) -> Data:
    """The data set with this number of threads, created if it does not exist."""
    name = stage.database_name(str(threads))
    data = Data(stage.at_database(server_url, name), threads)
    if await stage.database_exists(server_url, name):
        return data
    draft = f"{name}_draft"
    url = await stage.create_database(server_url, str(threads), draft)
    connection = await stage.connect(url)
    try:
        await _fill(connection, data)
    finally:
        await connection.close()
    # The database is renamed when it is complete.
    await stage.rename_database(server_url, draft, name)
    return data


async def _fill(connection: asyncpg.Connection, data: Data) -> None:
    started = time.monotonic()
    # Disables foreign key checks; the rows are correct by construction.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SET synchronous_commit = off")
    await connection.execute(_USERS, data.users)
    for first in range(0, data.threads, THREADS_PER_STEP):
        end = min(first + THREADS_PER_STEP, data.threads)
        others = str(data.users - 1)
        await connection.execute(_THREADS.replace("{others}", others), first, end)
        count = (end - first) * ITEMS_PER_THREAD
        await connection.execute(_ITEMS.replace("{others}", others), first, count)
        if data.threads > THREADS_PER_STEP:
            print(f"  {end:,} threads loaded, {time.monotonic() - started:.0f} s", flush=True)
    await connection.execute(_LONG_THREAD, data.long_items)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")


async def load_sketch(url: str) -> None:
    """Copy the rows into the rival's tables."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(DropSchema(SCHEMA, cascade=True, if_exists=True))
        await connection.execute(CreateSchema(SCHEMA))
        await connection.run_sync(Base.metadata.create_all)
        for statement in _SKETCH:
            await connection.exec_driver_sql(statement)
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.exec_driver_sql("VACUUM ANALYZE")
    await engine.dispose()
