"""Network addresses are compared by a keyed hash."""

import secrets

import pytest
from fastapi import Request

from engine.http import addresses
from engine.http.addresses import Addresses, network_of
from engine.settings.settings import Settings

HERE = "198.51.100.7"


def request(port: int, **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (HERE, port), "headers": raw})


def test_an_unknown_proxy_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(addresses.logger, "warning", lambda *args: told.append(args[1]))
    addresses._warn_once.cache_clear()
    known = Addresses(Settings(secret_key="x" * 32))

    known.of(request(0, **{"x-forwarded-for": HERE}))  # uvicorn trusted the header
    known.of(request(4711))
    assert told == []
    for _ in range(3):
        assert known.of(request(4711, **{"x-forwarded-for": "1.2.3.4"})) == known.hashed(HERE)
    assert told == [HERE]


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("198.51.100.7", "198.51.100.8", False),
        ("198.51.100.7", "::ffff:198.51.100.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "unix:", False),
    ],
)
def test_an_ipv6_network_of_64_bits_is_one_address(one: str, other: str, are_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is are_same


def test_the_hash_depends_on_the_key() -> None:
    keys = [secrets.token_hex(), secrets.token_hex()]
    [one, other] = [Addresses(Settings(secret_key=key)).hashed(HERE) for key in keys]
    assert one != other
    assert one == Addresses(Settings(secret_key=keys[0])).hashed(HERE)
    assert HERE not in one
