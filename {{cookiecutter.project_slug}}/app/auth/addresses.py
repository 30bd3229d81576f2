"""Network addresses that requests come from. They are personal data: what is kept and written down
is a keyed hash, which tells whether two are the same and no more.
"""

import hashlib
import hmac
import ipaddress

from fastapi import Request

from app.config import Settings


class Addresses:
    def __init__(self, settings: Settings) -> None:
        self._key = settings.secret_key.get_secret_value().encode()

    def of(self, request: Request) -> str:
        """The hash of the client's address; a proxy's where FORWARDED_ALLOW_IPS does not name it."""
        return self.hashed(request.client.host if request.client else "")

    def hashed(self, address: str) -> str:
        text = f"address\0{network_of(address)}"
        return f"address:{hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]}"


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
