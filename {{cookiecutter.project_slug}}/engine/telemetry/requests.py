"""FastAPI's own spans and metrics of requests."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

PROBES = ("/healthz", "/readyz")


def is_probe(scope: MutableMapping[str, Any]) -> bool:
    return str(scope.get("path", "")).endswith(PROBES)


# The engine logs exceptions itself, without their messages. A request's steps are no spans.
REQUESTS: TelemetryConfig = {"logs": False, "operation_spans": False, "exclude": is_probe}
