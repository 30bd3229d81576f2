"""How much of what a model is asked was the beginning of the request before.

Providers charge less for such a beginning. Text stands for tokens: what is said first comes first.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def cached_share(bodies: Sequence[Mapping[str, Any]]) -> float:
    """The share, 0 to 1, of all requests of the Responses API that the one before began with."""
    prompts = [prompt_of(body) for body in bodies]
    common = sum(_common(*pair) for pair in pairwise(prompts))
    return common / sum(map(len, prompts))


def _common(one: str, other: str) -> int:
    """The length of the beginning that both have."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def prompt_of(body: Mapping[str, Any]) -> str:
    """The parts of a request in the order in which the model reads them."""
    parts = [body.get("tools", []), body.get("instructions", ""), *body["input"]]
    return "".join(json.dumps(part, ensure_ascii=False) for part in parts)
