"""The finding of `python3 -m app doctor` about the OpenID provider."""

import asyncio

from engine.auth.oidc.openid import OidcSettings, ProviderUnreachable, configured_provider
from engine.settings.finding import Finding

NAME = "OpenID provider"


def check() -> Finding:
    settings = OidcSettings()
    try:
        provider = configured_provider(settings)
        if provider is None:
            return Finding(
                "warn", "none: nobody can sign in. Set OIDC_DISCOVERY_URL and OIDC_CLIENT_ID"
            )
        metadata = asyncio.run(provider.metadata())
    except (ProviderUnreachable, ValueError) as error:
        return Finding("fail", str(error))
    return Finding("ok", f"{metadata['issuer']}, which knows us as {settings.client_id}")
