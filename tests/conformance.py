"""Checks with schemathesis that a project's API conforms to its OpenAPI document.

All routes of the document are tested with valid and invalid requests, except `POST /chatkit`, which has
its own protocol: see `engine/tests/test_hostile.py` of the project.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
from conftest import check

PROTOCOL = "/chatkit"
# Routes that are open without credentials.
PUBLIC = {"/healthz", "/readyz"}

MESSAGE = {
    "content": [{"type": "input_text", "text": "hello"}],
    "attachments": [],
    "inference_options": {},
}


def check_conformance(visitor: httpx2.Client, folder: Path, examples: int) -> None:
    """Raise AssertionError with schemathesis' output if document and server differ.

    Up to `examples` requests are sent to each route.
    """
    _ask(visitor, folder, examples)
    # Again with ids that exist.
    _ask(visitor, folder, examples, **_known(visitor))


def _ask(visitor: httpx2.Client, folder: Path, examples: int, **known: str) -> None:
    config = folder / "schemathesis.toml"
    ids = [f'{json.dumps(name)} = "{value}"' for name, value in known.items()]
    config.write_text("\n".join(["[parameters]", *ids, ""]), encoding="utf-8")
    credentials = visitor.headers.keys() - httpx2.Client().headers.keys()
    headers = [f"{name}: {visitor.headers[name]}" for name in sorted(credentials)]
    check(
        *("schemathesis", "--config-file", str(config), "run", f"{visitor.base_url}/openapi.json"),
        *(argument for header in headers for argument in ("--header", header)),
        *("--exclude-path", PROTOCOL, "--max-examples", str(examples), "--seed", "1"),
        *("--checks", "all", "--continue-on-failure", "--warnings", "off"),
        cwd=folder,
    )


def _known(visitor: httpx2.Client) -> dict[str, str]:
    request = {"type": "threads.create", "params": {"input": MESSAGE}}
    response = visitor.post(PROTOCOL, json=request)
    [thread_id] = set(re.findall(r"\bthr_\w+", response.text))
    return {"thread_id": thread_id, "run_id": response.headers["X-Run-ID"]}


def check_doors(visitor: httpx2.Client) -> None:
    """Check that all other routes need credentials, and that the document says so."""
    document: dict[str, Any] = visitor.get("/openapi.json").json()
    paths: dict[str, dict[str, Any]] = document["paths"]
    assert PROTOCOL in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            place = str(visitor.base_url) + re.sub(r"\{\w+\}", "x", path)
            status = httpx2.request(method, place).status_code
            assert (status == 401) == (path not in PUBLIC), f"{method} {path}: {status}"
            assert ("401" in operation["responses"]) == (path not in PUBLIC), f"{method} {path}"
