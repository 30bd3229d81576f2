"""Hashes of an agent's instructions and tools: which version of it gave an answer."""

import inspect
import json
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from types import CodeType
from typing import Any

from agents import Agent, Tool

HASH_CHARS = 12


def instructions_hash(agent: Agent[Any]) -> str | None:
    """The hash of the instructions' text, or of the code of a function that writes them."""
    match agent.instructions:
        case None:
            return None
        case str(text):
            return _hash(text)
        case function:
            return _hash(_code(function))


def tools_hash(agent: Agent[Any]) -> str:
    """The hash of all that the model is told about its tools, in whichever order they are."""
    return _hash(json.dumps(sorted(map(_description, agent.tools)), ensure_ascii=False))


def _description(tool: Tool) -> list[str]:
    schema = getattr(tool, "params_json_schema", {})
    described = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    return [tool.name, getattr(tool, "description", ""), described]


def _code(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return type(function).__qualname__ if code is None else _source(code)


@lru_cache(maxsize=64)
def _source(code: CodeType) -> str:
    try:
        return inspect.getsource(code)
    except OSError:  # made at run time
        return code.co_qualname


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:HASH_CHARS]
