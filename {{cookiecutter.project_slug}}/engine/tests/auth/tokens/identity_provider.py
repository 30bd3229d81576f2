"""An identity provider that serves its keys over HTTP and signs tokens."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.tests.talk import PATIENCE_SECONDS

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def claims(**changes: object) -> dict[str, Any]:
    """The claims of a valid token with `changes`; a claim set to None is left out."""
    good = {"sub": "ada", "exp": int(time.time()) + 60, **changes}
    return {name: value for name, value in good.items() if value is not None}


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forged(header: dict[str, str], key: bytes | None = None) -> str:
    """A token that libraries refuse to create: signed with `key` by HMAC, or unsigned."""
    signed = f"{encoded(header)}.{encoded(claims())}"
    if key is None:
        return f"{signed}."
    signature = hmac.digest(key, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class SigningKey:
    """A key pair of the identity provider."""

    def __init__(
        self,
        key_id: str | None,
        private: PrivateKey,
        algorithm: str = "ES256",
    ) -> None:
        self.key_id = key_id
        self.private = private
        self.algorithm = algorithm

    def sign(self, **changes: object) -> str:
        headers = None if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(claims(**changes), self.private, self.algorithm, headers)

    def public_jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        jwk: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(self.algorithm).to_jwk(public))
        return jwk | {"alg": self.algorithm} | ({"kid": self.key_id} if self.key_id else {})

    def public_pem(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def ec_key(key_id: str | None) -> SigningKey:
    return SigningKey(key_id, ec.generate_private_key(ec.SECP256R1()))


class IdentityProvider(ThreadingHTTPServer):
    """Serves its keys over HTTP, counts the requests, and can fail or hang."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _JwksHandler)
        self.status = 200
        self.body = b""
        self.requests = 0
        self.path = ""
        self.arrivals = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks"

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.status = 200
        self.body = json.dumps({"keys": jwks}).encode()

    async def next_request(self) -> None:
        """Wait for the next request."""
        assert await asyncio.to_thread(self.arrivals.acquire, timeout=PATIENCE_SECONDS)


class _JwksHandler(BaseHTTPRequestHandler):
    server: IdentityProvider

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.path = self.path
        self.server.arrivals.release()
        self.server.may_answer.wait(2 * PATIENCE_SECONDS)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()
