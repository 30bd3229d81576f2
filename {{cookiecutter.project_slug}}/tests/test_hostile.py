"""Requests by the hundred that no page would send: refused or answered, never a crash.

They come from the SDK's own models and are then bent out of shape. HOSTILE_REQUESTS sets how many.
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from chatkit.types import ChatKitReq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from sqlalchemy import select

from app.agent.demo import DemoModel
from app.db import EVERYBODY, Base, Database
from tests.conftest import Scripted
from tests.talk import Visitor, events_in

REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "300"))
AT_ONCE = 8


class Schema(GenerateJsonSchema):
    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Defaults that JSON cannot say are none of ours."""


SCHEMA = TypeAdapter(ChatKitReq).json_schema(schema_generator=Schema)
TYPES = sorted(
    model["properties"]["type"]["const"]
    for name, model in SCHEMA["$defs"].items()
    if name.endswith("Req")
)

# What only the inside of the application could have said.
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
    """Ids that exist: the sender's own, and somebody else's."""

    threads: list[str]
    items: list[str]
    attachments: list[str]


async def test_nothing_that_is_sent_breaks_anything(
    with_model: Scripted, stranger: Visitor, database: Database
) -> None:
    sender = await with_model(
        DemoModel(0),
        turns_per_minute=1_000_000,
        running_answers_per_user=AT_ONCE,
        tokens_per_day=0,
    )
    theirs, mine = await stranger.say("remember this"), await sender.say("remember that")
    known = Known(
        [mine.thread_id, theirs.thread_id],
        [mine.user_message_id, theirs.user_message_id],
        ["atc_1", theirs.user_message_id],
    )
    before = await everything_of(database, stranger.user_id)
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
    assert await everything_of(database, stranger.user_id) == before
    assert statuses[200] > REQUESTS / 20
    assert statuses[404] > 0
    assert statuses[400] + statuses[422] > REQUESTS / 10
    assert set(TYPES) - set(seen) <= UNSUPPORTED


# Refused as a whole, however well-formed.
UNSUPPORTED = {
    *("threads.custom_action", "threads.sync_custom_action", "input.transcribe"),
    *("attachments.create", "attachments.delete"),
    # Nothing waits for them here, so that they end as 422.
    *("threads.add_client_tool_output", "threads.add_structured_input"),
}


@pytest.mark.parametrize("kind", sorted(UNSUPPORTED))
def test_what_is_not_supported_is_known_to_the_sdk(kind: str) -> None:
    assert kind in TYPES


def check(response: httpx.Response, body: bytes) -> None:
    told = f"{response.status_code} {response.text[:300]} for {body[:300]!r}"
    assert response.status_code < 500, told
    assert not any(word in response.text for word in INTERNALS), told
    if response.status_code >= 400:
        assert {"code", "message"} <= response.json()["error"].keys(), told
    elif response.headers["content-type"].startswith("text/event-stream"):
        assert events_in(response.text)[-1]["type"], told


async def everything_of(database: Database, user_id: str) -> str:
    """A digest of all rows that one user owns."""
    digest = hashlib.sha256()
    for table in Base.metadata.sorted_tables:
        owner = table.c.user_id if "user_id" in table.c else table.c.id
        statement = select(table).where(owner == user_id).order_by(*table.primary_key.columns)
        digest.update(repr(await database.fetch(EVERYBODY, statement)).encode())
    return digest.hexdigest()


def requests(count: int, known: Known) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """The same ones each time."""
    found: list[tuple[bytes, dict[bytes, bytes]]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile(known))
    def collect(request: tuple[bytes, dict[bytes, bytes]]) -> None:
        found.append(request)

    collect()
    assert len(found) >= count * 0.9
    return iter(found)


@st.composite
def hostile(draw: st.DrawFn, known: Known) -> tuple[bytes, dict[bytes, bytes]]:
    kind = draw(st.sampled_from(TYPES))
    document: Any = draw(_WELL_FORMED[kind])
    replace_ids(draw, document, known)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 5]))):
        bend(draw, document)
    body = json.dumps(document).replace(f'"{DEEP}"', "[" * 5_000 + "]" * 5_000).encode()
    if draw(st.integers(0, 19)) == 0:
        cut = draw(st.integers(0, len(body)))
        body = body[:cut] + draw(st.sampled_from([b"", b"\xff", b"NaN", b"}", b'"type":1,']))
    return body, draw(st.sampled_from(HEADERS)) if draw(st.integers(0, 9)) == 0 else {}


def replace_ids(draw: st.DrawFn, value: Any, known: Known) -> None:
    """Let most ids be ones that exist, in the places where the protocol has them."""
    ids = {"thread_id": known.threads, "item_id": known.items}
    lists = {"item_ids": known.items, "attachments": known.attachments}
    if not isinstance(value, dict):
        return
    for key, child in value.items():
        if key in ids and draw(st.integers(0, 9)):
            value[key] = draw(st.sampled_from(ids[key]))
        elif key in lists:
            chosen = st.lists(st.sampled_from(lists[key]), max_size=2)
            value[key] = draw(chosen) if draw(st.integers(0, 9)) == 0 or key == "item_ids" else []
        else:
            replace_ids(draw, child, known)


def bend(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """Put something else in one place, take it away, or add what does not belong there."""
    places = list(_places(document))
    parent, key = draw(st.sampled_from(places))
    if draw(st.integers(0, 5)) == 0 and isinstance(parent, dict):
        parent[draw(st.sampled_from(["type", "metadata", "session_id", "x" * 1_000]))] = "\x00"
    elif draw(st.integers(0, 5)) == 0:
        del parent[key]
    else:
        parent[key] = deepcopy(draw(st.sampled_from(JUNK)))


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
    """Values of a JSON schema, as far as pydantic writes them."""
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
