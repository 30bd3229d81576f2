"""Network addresses that requests come from. They are personal data: what is kept and written down
is a keyed hash, which tells whether two are the same and no more.
"""

import hashlib
import hmac
import ipaddress
import logging
from functools import cache

from fastapi import Request

from engine.settings.settings import Settings

MOST_WARNINGS = 5

logger = logging.getLogger(__name__)


class Addresses:
    def __init__(self, settings: Settings) -> None:
        self._key = settings.secret_key.get_secret_value().encode()

    def of(self, request: Request) -> str:
        """The hash of the client's address; a proxy's where FORWARDED_ALLOW_IPS does not name it."""
        _tell_of_unnamed_proxy(request)
        return self.hashed(request.client.host if request.client else "")

    def hashed(self, address: str) -> str:
        text = f"address\0{network_of(address)}"
        return f"address:{hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]}"


def _tell_of_unnamed_proxy(request: Request) -> None:
    """What a header says has no port: an address that has one is that of who is connected."""
    if request.client is None or request.client.port == 0:
        return
    if "X-Forwarded-For" in request.headers:
        _warn_of_proxy(request.client.host)


@cache
def _warn_of_proxy(host: str) -> None:
    """(Once for each.)"""
    if _warn_of_proxy.cache_info().currsize < MOST_WARNINGS:
        logger.warning(
            "X-Forwarded-For came from %s, and is not believed: FORWARDED_ALLOW_IPS does not name it. "
            "If that is a proxy of yours, all visitors behind it count as one address",
            host,
        )


def network_of(address: str) -> str:
    """The address; of IPv6 its /64, all of which a site is given."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(ip), 64), strict=False))
        ip = ip.ipv4_mapped
    return str(ip)
