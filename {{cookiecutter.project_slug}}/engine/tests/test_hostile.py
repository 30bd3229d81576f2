"""Fuzzing: hundreds of malformed requests are refused or answered without an internal error.

They are generated from the SDK's models and then changed. HOSTILE_REQUESTS sets their number.
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx2
from chatkit.types import ChatKitReq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from sqlalchemy import select

from engine.database.database import EVERYBODY, Database
from engine.database.tables import owned_tables, owner_column
from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import Visitor, events_in

REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "300"))
AT_ONCE = 8


class Schema(GenerateJsonSchema):
    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Ignore defaults of the SDK that JSON cannot represent."""


SCHEMA = TypeAdapter(ChatKitReq).json_schema(schema_generator=Schema)
TYPES = sorted(
    model["properties"]["type"]["const"]
    for name, model in SCHEMA["$defs"].items()
    if name.endswith("Req")
)

# Texts that must not appear in responses, because they show internals.
INTERNALS = ("Traceback", "sqlalchemy", "asyncpg", "psycopg", 'File "', "pydantic", "SELECT ")

DEEP = "deep"  # stands for nesting that json.dumps itself could not write
JUNK: list[Any] = [
    *(None, True, -1, 0, 10**40, 1e308, "", " ", "\x00", "\ud800", "x" * 100_000, DEEP),
    *([], {}, [[]], {"": {}}, ["\x00"] * 50, {"\ud800": "\x00"}, "__proto__", "' OR 1=1 --"),
    *("no.such.type", "thr_", "../../etc/passwd", "\u202e", "🦊" * 500, "2026-13-45", "NaN"),
]
HEADERS: list[dict[bytes, bytes]] = [
    {},
    {b"Accept-Language": b"x" * 5_000},
    {b"Accept-Language": b"\xff\xfe;q=x"},
    {b"X-Request-ID": b"' OR 1=1"},
    {b"Idempotency-Key": b"\xe4" * 300},
    {b"Content-Type": b"text/plain"},
]


@dataclass
class Known:
    """Existing ids, of the sender and of another user."""

    threads: list[str]
    items: list[str]
    attachments: list[str]


async def test_malformed_requests_do_not_break_the_server(
    with_model: Scripted, stranger: Visitor, database: Database
) -> None:
    sender = await with_model(
        demo_model(),
        turns_per_minute=1_000_000,
        running_answers_per_user=AT_ONCE,
        tokens_per_day=0,
    )
    theirs = await stranger.say("remember this")
    mine = [await sender.say("remember that") for _ in range(1 + REQUESTS // 100)]
    known = Known(
        [theirs.thread_id, *(turn.thread_id for turn in mine)],
        [theirs.user_message_id, *(turn.user_message_id for turn in mine)],
        ["atc_1", theirs.user_message_id],
    )
    before = await digest_of_rows(database, stranger.user_id)
    seen: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    room = asyncio.Semaphore(AT_ONCE)

    async def send(body: bytes, headers: dict[bytes, bytes]) -> None:
        async with room:
            response = await sender.client.post("/chatkit", content=body, headers=headers)
        statuses[response.status_code] += 1
        check(response, body)
        if response.status_code not in {400, 422}:
            seen[json.loads(body).get("type", "")] += 1

    await asyncio.gather(*(send(*request) for request in requests(REQUESTS, known)))

    print("answered:", dict(seen), "statuses:", dict(statuses))  # noqa: T201 — for pytest -s
    assert await digest_of_rows(database, stranger.user_id) == before
    assert statuses[200] > REQUESTS / 20
    assert statuses[404] > 0
    assert statuses[400] + statuses[422] > REQUESTS / 10
    assert set(TYPES) - set(seen) <= UNSUPPORTED


# Request types that are always refused, unless an option of the project supports them.
UNSUPPORTED = {
    *("threads.custom_action", "threads.sync_custom_action", "input.transcribe"),
    *("attachments.create", "attachments.delete"),
}


def check(response: httpx2.Response, body: bytes) -> None:
    told = f"{response.status_code} {response.text[:300]} for {body[:300]!r}"
    assert response.status_code < 500, told
    assert not any(word in response.text for word in INTERNALS), told
    if response.status_code >= 400:
        assert {"code", "message"} <= response.json()["error"].keys(), told
    elif response.headers["content-type"].startswith("text/event-stream"):
        assert events_in(response.text)[-1]["type"], told


async def digest_of_rows(database: Database, user_id: str) -> str:
    """A digest of all rows that one user owns."""
    digest = hashlib.sha256()
    for table in owned_tables():
        of_user = owner_column(table) == user_id
        statement = select(table).where(of_user).order_by(*table.primary_key.columns)
        digest.update(repr(await database.fetch(EVERYBODY, statement)).encode())
    return digest.hexdigest()


def requests(count: int, known: Known) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """The same requests in every run."""
    random = Random(count)  # noqa: S311 — that is the point
    for document in documents(count):
        give_ids(random, document, known)
        for _ in range(random.choice([0, 0, 0, 1, 1, 2, 5])):
            bend(random, document)
        body = json.dumps(document).replace(f'"{DEEP}"', "[" * 5_000 + "]" * 5_000).encode()
        if random.random() < 0.05:
            cut = random.randrange(len(body))
            body = body[:cut] + random.choice([b"", b"\xff", b"NaN", b"}", b'"type":1,'])
        yield body, random.choice(HEADERS) if random.random() < 0.1 else {}


def documents(count: int) -> list[Any]:
    """Well-formed requests of every type, generated from their models."""
    found: list[Any] = []
    for kind in TYPES:

        @settings(
            max_examples=count // len(TYPES) + 1,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(_WELL_FORMED[kind])
        def collect(document: Any) -> None:
            found.append(deepcopy(document))

        collect()
    return found


def give_ids(random: Random, value: Any, known: Known) -> None:
    """Replace most ids by existing ones."""
    ids = {"thread_id": known.threads, "item_id": known.items}
    lists = {"item_ids": known.items, "attachments": known.attachments}
    for key, child in value.items() if isinstance(value, dict) else ():
        if key in ids and random.random() < 0.9:
            value[key] = random.choice(ids[key])
        elif key in lists:
            wanted = key == "item_ids" or random.random() < 0.1
            value[key] = random.sample(lists[key], 1) if wanted else []
        else:
            give_ids(random, child, known)


def bend(random: Random, document: dict[str, Any]) -> None:
    """Replace or remove one value, or add an unexpected one."""
    parent, key = random.choice(list(_places(document)))
    chance = random.random()
    if chance < 0.15 and isinstance(parent, dict):
        parent[random.choice(["type", "metadata", "session_id", "x" * 1_000])] = "\x00"
    elif chance < 0.3:
        del parent[key]
    else:
        parent[key] = deepcopy(random.choice(JUNK))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(entries):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)
    if not value and isinstance(value, dict):
        value["empty"] = None
        yield value, "empty"


def well_formed(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a JSON schema, for the features that pydantic uses."""
    match schema:
        case {"$ref": str(place)}:
            return st.deferred(lambda: well_formed(SCHEMA["$defs"][place.rpartition("/")[2]]))
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return st.one_of(*map(well_formed, options))
        case {"const": value}:
            return st.just(value)
        case {"enum": list(values)}:
            return st.sampled_from(values)
        case {"type": "object", "properties": dict(fields)}:
            return _object(fields, set(schema.get("required", ())))
        case {"type": "object"}:
            return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
        case {"type": "array"}:
            return st.lists(well_formed(schema.get("items", {})), max_size=3)
        case {"type": str(kind)}:
            return _PLAIN[kind]
    return st.one_of(*_PLAIN.values())


def _object(fields: dict[str, Any], required: set[str]) -> st.SearchStrategy[Any]:
    # Discriminator fields have a default and are required all the same.
    required |= {name for name, field in fields.items() if "const" in field}
    always = {name: well_formed(field) for name, field in fields.items() if name in required}
    maybe = {name: well_formed(field) for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries(always, optional=maybe)


_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=30),
    "integer": st.integers(),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "null": st.none(),
}

_WELL_FORMED = {
    model["properties"]["type"]["const"]: well_formed(model)
    for name, model in SCHEMA["$defs"].items()
    if name.endswith("Req")
}
