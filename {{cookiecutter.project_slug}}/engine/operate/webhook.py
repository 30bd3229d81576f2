"""Announces events to an address of the operator, signed as Standard Webhooks have it.

See https://www.standardwebhooks.com: headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, which libraries of many languages verify.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx2

from engine.context.ids import uuid7
from engine.runs.budgets import Notice
from engine.settings.settings import Settings, UnusableSettings

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
PAUSES_SECONDS = (0.0, 1.0, 5.0)


class Webhook:
    """Raises `UnusableSettings` for a secret that is not base64."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.webhook_url
        secret = settings.webhook_secret.get_secret_value()
        if self._url is None:
            return
        # Imported only where it is used.
        from standardwebhooks import Webhook as Signer

        try:
            self._signer = Signer(secret)
        except Exception:  # the library has one of its own for each fault
            raise UnusableSettings(
                "WEBHOOK_SECRET signs what is sent to WEBHOOK_URL: expected whsec_ and base64, such "
                'as: python -c "import base64, secrets; '
                "print('whsec_' + base64.b64encode(secrets.token_bytes(24)).decode())\""
            ) from None

    async def announce(self, notice: Notice) -> None:
        """Send it. Tried three times; a failure is a line in the log."""
        await self.send(
            "budget.reached",
            {
                "budget": notice.budget,
                "percent": notice.percent,
                "spent_usd": str(notice.spent),
                "amount_usd": str(notice.amount),
                "begins": notice.begins.isoformat(),
                "user": notice.user_id,
            },
        )

    async def send(self, event: str, data: Mapping[str, object]) -> None:
        if self._url is None:
            return
        moment, message_id = datetime.now(UTC), f"msg_{uuid7().hex}"
        body = json.dumps({"type": event, "timestamp": moment.isoformat(), "data": dict(data)})
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._signer.sign(message_id, moment, body),
        }
        reason = ""
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            for pause in PAUSES_SECONDS:
                await asyncio.sleep(pause)
                try:
                    response = await client.post(self._url, content=body, headers=headers)
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    reason = type(error).__name__
                    continue
                if response.is_success:
                    return
                reason = str(response.status_code)
        logger.error("the webhook did not take %s: %s. Check WEBHOOK_URL.", event, reason)
