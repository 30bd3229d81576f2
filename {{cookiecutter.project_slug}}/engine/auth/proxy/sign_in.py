"""Sign-in at a reverse proxy, which sends the user in a header. Only that proxy is trusted."""

import logging
from ipaddress import IPv4Address, IPv6Address, ip_address

from fastapi import Request
from pydantic import Field, IPvAnyNetwork
from pydantic_settings import SettingsConfigDict

from engine.auth.base import Authenticator, User
from engine.auth.proxy.load_balancer import LoadBalancer
from engine.auth.tokens import (
    TokenSettings,
    TokenVerifier,
    jwks_keys,
    require_issuer_and_audience,
    user_with_id,
)
from engine.database.database import Database
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.errors import Forbidden, Unauthenticated
from engine.settings.settings import CommaSeparated, EnvSettings, Settings

HEADER_NAME = r"[A-Za-z0-9-]+"

logger = logging.getLogger(__name__)


class ProxySettings(EnvSettings, TokenSettings):
    """`header` contains a user's name or, if `jwks_url` is set, a token that the proxy signed.

    `signer` is the ARN of the AWS load balancer that signs; its keys are below `jwks_url`.
    """

    model_config = SettingsConfigDict(env_prefix="PROXY_")

    trusted_addresses: CommaSeparated[IPvAnyNetwork] = ()
    header: str = Field(default="X-Forwarded-User", pattern=f"^{HEADER_NAME}$")
    signer: str | None = None


class UntrustedProxy(Forbidden):
    code = "untrusted_proxy"


class ProxyAuth(Authenticator):
    name = "proxy"
    checks_origin = True

    def __init__(
        self,
        settings: Settings,
        database: Database | None = None,
        proxy_settings: ProxySettings | None = None,
    ) -> None:
        self._settings = proxy_settings or ProxySettings()
        self._addresses = Addresses(settings)
        self._verifier = _verifier(self._settings)
        proxies = ", ".join(map(str, self._settings.trusted_addresses))
        self.lets_in = f"everybody whom a proxy at {proxies} names in {self._settings.header}"
        _check_trust(self._settings)

    async def authenticate(self, request: Request) -> User:
        values = request.headers.getlist(self._settings.header)
        if values and not self._is_trusted(_peer(request)):
            raise self._untrusted(request)
        if len(values) > 1:
            # The proxy added its header to one that the client had sent.
            raise Forbidden(f"{self._settings.header} came more than once.")
        if not values or not values[0]:
            raise Unauthenticated("The proxy in front of this server names no user.")
        if self._verifier is not None:
            try:
                return await self._verifier.user(values[0])
            except Unauthenticated as error:
                record("a token refused", self._addresses.of(request), reason=error.code)
                raise
        return user_with_id(values[0], source=self._settings.header)

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        if self._verifier is not None:
            raise ValueError("Only the proxy whose keys are at PROXY_JWKS_URL can sign users in.")
        return {self._settings.header: user_id}

    async def close(self) -> None:
        if self._verifier is not None:
            await self._verifier.close()

    def _is_trusted(self, peer: IPv4Address | IPv6Address | None) -> bool:
        return peer is not None and any(peer in net for net in self._settings.trusted_addresses)

    def _untrusted(self, request: Request) -> UntrustedProxy:
        logger.warning(
            "%s came from %s, which PROXY_TRUSTED_ADDRESSES does not contain. If that is not the "
            "address of the proxy, run uvicorn with --no-proxy-headers: without it, the address "
            "comes from X-Forwarded-For",
            self._settings.header,
            request.client.host if request.client else "no address",
        )
        return UntrustedProxy(f"{self._settings.header} is accepted from the proxy alone.")


def _peer(request: Request) -> IPv4Address | IPv6Address | None:
    """The address at the other end of the connection; None if it is not known.

    A server that trusts X-Forwarded-For, as uvicorn does from FORWARDED_ALLOW_IPS, replaces the
    peer's address with one from that header.
    """
    if request.client is None or _is_from_header(*request.client, request):
        return None
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_from_header(host: str, port: int, request: Request) -> bool:
    """True if the address is from X-Forwarded-For and not that of the connection.

    Its port is then 0, unless the header has a port too.
    """
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    with_port = (f"{host}:", f"[{host}]")
    return port == 0 or any(entry.strip().startswith(with_port) for entry in forwarded)


def _verifier(settings: ProxySettings) -> TokenVerifier | LoadBalancer | None:
    if settings.jwks_url is None:
        if settings.issuer or settings.audience or settings.signer:
            raise ValueError(
                "PROXY_ISSUER, PROXY_AUDIENCE and PROXY_SIGNER have no effect without "
                "PROXY_JWKS_URL. Set it, or remove them."
            )
        return None
    if settings.signer:
        return LoadBalancer(settings.signer, str(settings.jwks_url), settings)
    require_issuer_and_audience(settings, "PROXY")
    return TokenVerifier(jwks_keys(settings.jwks_url, settings), settings)


def _check_trust(settings: ProxySettings) -> None:
    if not settings.trusted_addresses:
        raise ValueError(
            "PROXY_TRUSTED_ADDRESSES is empty. `python3 -m app setup` writes the addresses of this "
            "machine into .env; in production, set the addresses of the proxy."
        )
    if settings.jwks_url is None and any(n.prefixlen == 0 for n in settings.trusted_addresses):
        raise ValueError(
            "PROXY_TRUSTED_ADDRESSES contains the whole internet, so that anybody could sign in as "
            "any user. Set the addresses of the proxy, or PROXY_JWKS_URL for signed tokens."
        )
