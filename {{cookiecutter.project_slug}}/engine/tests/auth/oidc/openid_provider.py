"""An OpenID provider in a process of its own, behind a proxy that can change its responses."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

START_SECONDS = 30

Claims = dict[str, Any]


class OpenIdProvider(ThreadingHTTPServer):
    """A proxy for the provider's process, which uses the proxy's URL as its own.

    `bend` changes the claims of an ID token before it is signed again, `sign` signs it in another
    way, and `secret` is published as one of the keys.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
        self.reset()

    def reset(self) -> None:
        self.bend: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = self.signed
        self.secret: OctKey | None = None
        self.discovery: dict[str, Any] = {}
        self.is_down = False
        self.seconds = 0.0  # until it answers
        self.token_requests: list[dict[str, str]] = []
        self.id_tokens: list[str] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}"

    @property
    def discovery_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def signed(self, claims: Claims, key: RSAKey | None = None) -> str:
        return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, key or self.key)

    def bent(self, path: str, body: bytes) -> bytes:
        """The provider's response with the changes of this proxy."""
        if path == "/jwks":
            keys = [self.key.as_dict(private=False)]
            if self.secret is not None:
                keys.append(self.secret.as_dict(private=True))
            return json.dumps({"keys": keys}).encode()
        answer = json.loads(body)
        if path == "/oauth2/token" and "id_token" in answer:
            payload = answer["id_token"].split(".")[1]
            answer["id_token"] = self.sign(self.bend(_json(payload)))
            self.id_tokens.append(answer["id_token"])
        if path == "/.well-known/openid-configuration":
            answer |= self.discovery
        return json.dumps(answer).encode()


class _Handler(BaseHTTPRequestHandler):
    server: OpenIdProvider

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _forward(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.seconds)
        if self.server.is_down:
            self.send_error(502)
            return
        if self.path == "/oauth2/token":
            request = dict(parse_qsl(sent.decode()))
            request["Authorization"] = self.headers.get("Authorization", "")
            self.server.token_requests.append(request)
        with closing(HTTPConnection("127.0.0.1", self.server.port, timeout=10)) as upstream:
            upstream.request(self.command, self.path, sent, dict(self.headers))
            response = upstream.getresponse()
            body = response.read()
        if response.headers.get_content_type() == "application/json":
            body = self.server.bent(self.path, body)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # the client may have disconnected
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_provider() -> Iterator[OpenIdProvider]:
    port = _free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/jwks")
        with OpenIdProvider(port) as provider:
            thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
            thread.start()
            yield provider
            provider.shutdown()
            thread.join()
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the provider did not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _json(part: str) -> Claims:
    from joserfc.util import urlsafe_b64decode

    claims: Claims = json.loads(urlsafe_b64decode(part.encode()))
    return claims
