"""Whether a project's API is what its own OpenAPI document says, asked by schemathesis.

All routes of the document but one are asked, whatever options brought them, with whatever fits
the description and with what does not. `POST /chatkit` speaks a protocol of its own: see
`engine/tests/test_hostile.py` of the project.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
from conftest import check

PROTOCOL = "/chatkit"
# Open to everybody, and meant to be.
PUBLIC = {"/healthz", "/readyz"}

MESSAGE = {
    "content": [{"type": "input_text", "text": "hello"}],
    "attachments": [],
    "inference_options": {},
}


def check_conformance(visitor: httpx.Client, folder: Path, examples: int) -> None:
    """Raise AssertionError, with schemathesis' own words, where document and server differ.

    Up to so many examples are tried for each route.
    """
    _ask(visitor, folder, examples)
    # Once more with ids that exist.
    _ask(visitor, folder, examples, **_known(visitor))


def _ask(visitor: httpx.Client, folder: Path, examples: int, **known: str) -> None:
    config = folder / "schemathesis.toml"
    ids = [f'{json.dumps(name)} = "{value}"' for name, value in known.items()]
    config.write_text("\n".join(["[parameters]", *ids, ""]), encoding="utf-8")
    credentials = visitor.headers.keys() - httpx.Client().headers.keys()
    headers = [f"{name}: {visitor.headers[name]}" for name in sorted(credentials)]
    check(
        *("schemathesis", "--config-file", str(config), "run", f"{visitor.base_url}/openapi.json"),
        *(argument for header in headers for argument in ("--header", header)),
        *("--exclude-path", PROTOCOL, "--max-examples", str(examples), "--seed", "1"),
        *("--checks", "all", "--continue-on-failure", "--warnings", "off"),
        cwd=folder,
    )


def _known(visitor: httpx.Client) -> dict[str, str]:
    request = {"type": "threads.create", "params": {"input": MESSAGE}}
    response = visitor.post(PROTOCOL, json=request)
    [thread_id] = set(re.findall(r"\bthr_\w+", response.text))
    return {"thread_id": thread_id, "run_id": response.headers["X-Run-ID"]}


def check_doors(visitor: httpx.Client) -> None:
    """Nobody gets in without credentials, but where everybody may; and the document says so."""
    document: dict[str, Any] = visitor.get("/openapi.json").json()
    paths: dict[str, dict[str, Any]] = document["paths"]
    assert PROTOCOL in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            place = str(visitor.base_url) + re.sub(r"\{\w+\}", "x", path)
            status = httpx.request(method, place).status_code
            assert (status == 401) == (path not in PUBLIC), f"{method} {path}: {status}"
            assert ("401" in operation["responses"]) == (path not in PUBLIC), f"{method} {path}"
