"""What a server counts, for Prometheus; in a registry of its own, so that two servers are two."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """Counters, gauges and histograms of one server.

    Attributes:
        queue: pictures that wait.
        in_flight: requests that are being answered.
        batch: pictures that were annotated together.
        batch_seconds: what annotating them took.
        pictures: pictures that were annotated.
        dropped: pictures that left the queue because nobody waited for them any more.
        ready: 1 once the weights are loaded.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        where = self.registry
        self._requests = Counter(
            "grounded_ram_requests",
            "Requests answered.",
            labelnames=("route", "status"),
            registry=where,
        )
        self._latency = Histogram(
            "grounded_ram_request_seconds",
            "From a request's first byte to the end of its answer.",
            labelnames=("route",),
            buckets=_SECONDS,
            registry=where,
        )
        self._rejected = Counter(
            "grounded_ram_rejected",
            "Requests refused, by the code of their error.",
            ("reason",),
            registry=where,
        )
        self.queue = Gauge(
            "grounded_ram_queue_length", "Pictures that wait for the model.", registry=where
        )
        self.in_flight = Gauge(
            "grounded_ram_requests_in_flight", "Requests being answered.", registry=where
        )
        self.batch = Histogram(
            "grounded_ram_batch_size",
            "Pictures annotated together.",
            buckets=_SIZES,
            registry=where,
        )
        self.batch_seconds = Histogram(
            "grounded_ram_batch_seconds",
            "What one batch took the model.",
            buckets=_SECONDS,
            registry=where,
        )
        self.pictures = Counter(
            "grounded_ram_pictures", "Pictures annotated or tagged.", registry=where
        )
        self.dropped = Counter(
            "grounded_ram_dropped",
            "Pictures that nobody waited for when their turn came.",
            registry=where,
        )
        self.ready = Gauge("grounded_ram_ready", "1 once the weights are loaded.", registry=where)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: one of the server's own, so that strangers cannot make up new ones.
            status: of its answer.
            seconds: that it took.
        """
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def reject(self, code: str) -> None:
        """Count a refusal by the code of its error."""
        self._rejected.labels(code).inc()

    def text(self) -> bytes:
        """Write all of it in Prometheus' text format."""
        return generate_latest(self.registry)
