"""Prometheus metrics of one process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of a service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        PlatformCollector(registry)
        ProcessCollector(registry=registry)  # memory, CPU seconds, open files
        self.requests = Counter(
            "fast_nst_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "fast_nst_request_seconds",
            "From a request's head to its answer's last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rejected = Counter(
            "fast_nst_rejected", "Requests to stylize that got an error.", ["reason"], registry=registry
        )
        self.network_seconds = Histogram(
            "fast_nst_network_seconds",
            "A picture in the network.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )

    def gauge(self, name: str, help: str, value: Callable[[], float]) -> None:
        """A number that is read when it is asked for."""
        Gauge(f"fast_nst_{name}", help, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """The page at /metrics."""
        return generate_latest(self.registry)
