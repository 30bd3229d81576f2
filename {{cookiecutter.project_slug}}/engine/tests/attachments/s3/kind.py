"""Tests with files in a separate bucket, on moto's server in a separate process."""

import atexit
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.tests.talk import Visitor

START_SECONDS = 60
ACCESS = {"S3_ACCESS_KEY_ID": "tests", "S3_SECRET_ACCESS_KEY": "tests"}


@contextmanager
def place(_folder: Path) -> Iterator[dict[str, str]]:
    """The environment of an application that stores its files there."""
    bucket = f"test-{secrets.token_hex(8)}"
    httpx2.put(f"{server()}/{bucket}").raise_for_status()
    yield {"S3_ENDPOINT_URL": server(), "S3_PATH_STYLE": "true", "S3_BUCKET": bucket, **ACCESS}


def without_amazons_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the AWS settings of the developer who runs the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


async def upload(visitor: Visitor, content: bytes, name: str, mime_type: str) -> httpx2.Response:
    """Upload like ChatKit; the body of the response is the attachment."""
    params: Any = {"name": name, "size": len(content), "mime_type": mime_type}
    created = await visitor.send("attachments.create", **params)
    if created.status_code == 200:
        (await put(created.json(), content)).raise_for_status()
    return created


async def put(attachment: dict[str, object], content: bytes) -> httpx2.Response:
    """Follow the upload's descriptor, without the visitor's credentials."""
    descriptor = attachment["upload_descriptor"]
    assert isinstance(descriptor, dict)
    async with httpx2.AsyncClient() as browser:
        return await browser.request(
            descriptor["method"],
            descriptor["url"],
            headers=descriptor["headers"],
            content=content,
        )


@cache
def server() -> str:
    """The URL of a server that runs until the test process ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The pipe closes when this process ends, which stops the server.
    command = [sys.executable, "-c", _SERVE, str(port)]
    process = subprocess.Popen(  # noqa: S603 — known
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    atexit.register(_end, process)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx2.get(url)
        except httpx2.TransportError:
            assert time.monotonic() < deadline, "moto does not start"
            time.sleep(0.1)
        else:
            return url


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


_SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False).start()
sys.stdin.read()
"""
