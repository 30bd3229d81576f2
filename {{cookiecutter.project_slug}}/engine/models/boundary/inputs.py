"""Normalizes a stored conversation so that every model on offer accepts it."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, cast

from agents import TResponseInputItem
from agents.models.fake_id import FAKE_RESPONSES_ID

from engine.models.boundary.calls import CallIds, fit_name, object_arguments
from engine.text.unicode import storable

Item = dict[str, Any]

FILE_PARTS = {"input_image": "picture", "input_file": "file"}
NO_RESULT = "There is no result of this call."


def fit_input(
    given: str | list[TResponseInputItem], call_ids: CallIds | None = None
) -> list[TResponseInputItem]:
    """The conversation with valid Unicode, one result for each call, valid names, ids and
    arguments, and without empty messages or parts.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": storable(given)}]
    items = _without_blanks(cast("Item", storable(_plain(item))) for item in given)
    return cast("list[TResponseInputItem]", list(_paired(items, call_ids or CallIds())))


def _plain(item: Any) -> Any:
    """The item as a dict: the Agents SDK passes both dicts and objects."""
    dump = getattr(item, "model_dump", None)
    return dict(item) if isinstance(item, Mapping) else dump(exclude_none=True) if dump else item


def _without_blanks(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if item.get("role") not in ("user", "assistant") or "content" not in item:
            yield item
        elif isinstance(content := item["content"], str):
            if content.strip():
                yield item
        elif parts := [part for part in content or () if not _is_blank(part)]:
            yield {**item, "content": parts}


def _is_blank(part: Any) -> bool:
    """True for a text part without visible characters."""
    if not isinstance(part, dict) or part.get("type") not in ("input_text", "output_text", "text"):
        return False
    return not str(part.get("text") or "").strip()


def _paired(items: Iterable[Item], call_ids: CallIds) -> Iterator[Item]:
    """Give each call one result. If an id occurs twice, results belong to calls in their order."""
    known = list(items)
    waiting: defaultdict[object, deque[str]] = defaultdict(deque)
    results = _count_results(known)
    for item in known:
        match item.get("type"):
            case "function_call":
                given = item.get("call_id")
                call_id = call_ids.fit(given)
                yield {
                    **item,
                    "call_id": call_id,
                    "name": fit_name(item.get("name")),
                    "arguments": object_arguments(item.get("arguments")),
                }
                if results[given]:
                    results[given] -= 1
                    waiting[given].append(call_id)
                else:
                    yield _result(call_id, NO_RESULT)
            case "function_call_output":
                if waiting[item.get("call_id")]:
                    yield {**item, "call_id": waiting[item.get("call_id")].popleft()}
            case _:
                yield item


def _count_results(items: list[Item]) -> defaultdict[object, int]:
    results: defaultdict[object, int] = defaultdict(int)
    for item in items:
        if item.get("type") == "function_call_output":
            results[item.get("call_id")] += 1
    return results


def _result(call_id: str, output: str) -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


# --- Requirements of single servers ---


def with_given_ids(items: list[TResponseInputItem], given: Mapping[str, str]) -> None:
    """Replace our ids with the server's own, and remove ids that it does not know."""
    for item in cast("list[Item]", items):
        if item.get("type") in ("message", "function_call") and "id" in item:
            known = given.get(str(item["id"]))
            if known is None:
                del item["id"]
            else:
                item["id"] = known


def without_stored_items(items: list[TResponseInputItem]) -> list[TResponseInputItem]:
    """Remove references that only a server with stored responses could resolve."""
    kept = []
    for item in cast("list[Item]", items):
        if item.get("type") == "reasoning" and not item.get("encrypted_content"):
            continue
        kept.append({name: value for name, value in item.items() if name != "id"})
    return cast("list[TResponseInputItem]", kept)


def without_unknown_reasoning(items: list[TResponseInputItem]) -> list[TResponseInputItem]:
    """Remove reasoning items of other APIs, which the Responses API does not know."""
    return [
        item
        for item in items
        if item.get("type") != "reasoning" or item.get("id") or item.get("encrypted_content")
    ]


def with_mentions(
    items: list[TResponseInputItem], refused: Container[int]
) -> list[TResponseInputItem]:
    """Replace each refused picture or file with a mention; `refused` holds the `id()` of parts."""
    changed = []
    for item in cast("list[Item]", items):
        content = item.get("content")
        if isinstance(content, list) and any(id(part) in refused for part in content):
            parts = [_mention(part) if id(part) in refused else part for part in content]
            item = {**item, "content": parts}
        changed.append(item)
    return cast("list[TResponseInputItem]", changed)


def _mention(part: Item) -> Item:
    name = part.get("filename") or FILE_PARTS[part["type"]]
    return {"type": "input_text", "text": f"[attached: {name}, which this model cannot take]"}


def files_of(items: Iterable[Any]) -> Iterator[Item]:
    """The pictures and files in these items."""
    for item in items:
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") in FILE_PARTS:
                yield part


def newest_files(items: list[TResponseInputItem]) -> list[Item]:
    """The files in the user's messages after the last answer."""
    newest: list[Any] = []
    for item in reversed(items):
        if item.get("role") != "user":
            break
        newest.append(item)
    return list(files_of(newest))


def with_alternating_roles(items: list[TResponseInputItem]) -> list[TResponseInputItem]:
    """Join consecutive messages of the same role, and let a call follow its message."""
    merged: list[Item] = []
    for item in cast("list[Item]", items):
        last = merged[-1] if merged else None
        if last is not None and _role(last) == _role(item) != "":
            last["content"] = [*_parts(last), *_parts(item)]
        else:
            merged.append(dict(item))
    return [cast("TResponseInputItem", _as_output(item)) for item in merged]


def _role(item: Item) -> str:
    return str(item.get("role") or "") if "content" in item else ""


def _parts(message: Item) -> list[Any]:
    content = message["content"]
    if not isinstance(content, str):
        return list(content)
    kind = "output_text" if message["role"] == "assistant" else "input_text"
    return [{"type": kind, "text": content}]


def _as_output(item: Item) -> Item:
    """A message of the assistant in the form that the Agents SDK joins with the next calls."""
    if _role(item) != "assistant":
        return item
    parts = [
        {"type": "output_text", "text": str(part.get("text") or ""), "annotations": []}
        for part in _parts(item)
    ]
    return {
        "type": "message",
        "id": item.get("id") or FAKE_RESPONSES_ID,
        "role": "assistant",
        "status": "completed",
        "content": parts,
    }


NOT_KEPT = "(These thoughts were not kept.)"


# A key in the Agents SDK's `provider_data`: this reasoning item is sent to every server.
REPLAYED = "replayed"


def with_reasoning_content(items: list[TResponseInputItem]) -> list[TResponseInputItem]:
    """Add reasoning before each group of calls, for servers that require it."""
    result: list[Item] = []
    before = ""
    for item in cast("list[Item]", items):
        kind = str(item.get("type"))
        if kind == "function_call" and before not in ("function_call", "reasoning"):
            summary = [{"type": "summary_text", "text": NOT_KEPT}]
            result.append(_replayed({"type": "reasoning", "summary": summary}))
        result.append(_replayed(item) if kind == "reasoning" else item)
        before = kind
    return cast("list[TResponseInputItem]", result)


def _replayed(thought: Item) -> Item:
    return {**thought, "provider_data": {**(thought.get("provider_data") or {}), REPLAYED: True}}


def digests_of(items: Iterable[Any]) -> dict[int, str]:
    """Hashes of the pictures and files, by the `id()` of their parts."""
    return {id(part): _digest(part) for part in files_of(items)}


def _digest(part: Item) -> str:
    """A hash of the picture's or file's content, or of its address."""
    content = (part.get(name) for name in ("image_url", "file_data", "file_id", "file_url"))
    return hashlib.sha256("".join(str(value or "") for value in content).encode()).hexdigest()
