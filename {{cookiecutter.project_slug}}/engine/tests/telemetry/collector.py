"""An OpenTelemetry collector on this machine: it takes what is exported over HTTP, and keeps it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """`url` is what OTEL_EXPORTER_OTLP_ENDPOINT has to be."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, bytes]] = []

    @property
    def everything(self) -> bytes:
        return b"".join(body for _, body in self.requests)

    def forget(self) -> None:
        self.requests.clear()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for message in self._messages("/v1/traces", ExportTraceServiceRequest)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self) -> list[Any]:
        return [
            metric
            for message in self._messages("/v1/metrics", ExportMetricsServiceRequest)
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    @property
    def logs(self) -> list[Any]:
        return [
            record
            for message in self._messages("/v1/logs", ExportLogsServiceRequest)
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def _messages(self, path: str, kind: Any) -> Iterator[Any]:
        for requested, body in list(self.requests):
            if requested == path:
                message = kind()
                message.ParseFromString(body)
                yield message


def attributes_of(message: Any) -> dict[str, Any]:
    """The attributes of a span, a log record or a metric's point."""
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value"))
        for attribute in message.attributes
    }


def points_of(metric: Any) -> list[Any]:
    return list(getattr(metric, metric.WhichOneof("data")).data_points)


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.requests.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Not into the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
