"""Network addresses of clients. They are personal data: only a keyed hash of them is stored and
logged, which shows whether two are equal.
"""

import hashlib
import hmac
import ipaddress
import logging
from functools import cache

from fastapi import Request

from engine.settings.settings import Settings

MAX_WARNINGS = 5

logger = logging.getLogger(__name__)


class Addresses:
    def __init__(self, settings: Settings) -> None:
        self._key = settings.secret_key.get_secret_value().encode()

    def of(self, request: Request) -> str:
        """The hash of the client's address; of the proxy's if FORWARDED_ALLOW_IPS lacks it."""
        _warn_of_unknown_proxy(request)
        return self.hashed(request.client.host if request.client else "")

    def hashed(self, address: str) -> str:
        text = f"address\0{network_of(address)}"
        return f"address:{hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]}"


def _warn_of_unknown_proxy(request: Request) -> None:
    # Port 0 means that the server took the address from a header, so it trusts the proxy.
    if request.client is None or request.client.port == 0:
        return
    if "X-Forwarded-For" in request.headers:
        _warn_once(request.client.host)


@cache
def _warn_once(host: str) -> None:
    if _warn_once.cache_info().currsize < MAX_WARNINGS:
        logger.warning(
            "X-Forwarded-For from %s is ignored, because FORWARDED_ALLOW_IPS does not contain that "
            "address. If it is your proxy, add it: until then, all clients behind it count as one",
            host,
        )


def network_of(address: str) -> str:
    """The address; for IPv6 its /64 network, because one site usually has a whole /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(ip), 64), strict=False))
        ip = ip.ipv4_mapped
    return str(ip)
