"""How much a server holds, and that it loses nothing: ``python -m tests.benchmarks.load``.

A server on loopback gets a bounded number of requests from a bounded number of callers, once with
its pictures annotated together and once one by one. Every answer is held against the one that
``annotate`` gives of that picture; a refusal with status 503 is counted and sent again. The figures
of two machines are not to be compared: their ratios are.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.settings import Settings
from grounded_ram.export.columns import described
from grounded_ram.pipeline import GroundedRAM
from tests.app.server.live import Live, png, serving

SEEDS = (5, 7, 11, 23)
LIMIT_S = 300.0
SCORE_TOLERANCE, PIXEL_TOLERANCE = 1e-4, 0.02
"""Networks that take several pictures round differently."""


@dataclass
class Load:
    """One run of callers against a server.

    Args:
        live: the server.
        pictures: files by seed.
        expected: what is known of each.
    """

    live: Live
    pictures: Mapping[int, bytes]
    expected: Mapping[int, dict[str, Any]]
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, requests: int, callers: int) -> float:
        """Send requests; return the seconds that all of them took."""
        started = time.perf_counter()
        limits = httpx.Limits(max_connections=callers)
        with (
            httpx.Client(
                base_url=self.live.url, timeout=LIMIT_S, trust_env=False, limits=limits
            ) as client,
            ThreadPoolExecutor(callers) as pool,
        ):
            seeds = [SEEDS[i % len(SEEDS)] for i in range(requests)]
            list(pool.map(lambda seed: self._ask(client, seed), seeds))
        return time.perf_counter() - started

    def _ask(self, client: httpx.Client, seed: int) -> None:
        """Send one picture until it is accepted, and look at the answer."""
        end = time.monotonic() + LIMIT_S
        while True:
            started = time.perf_counter()
            answer = client.post("/annotate", files={"file": self.pictures[seed]})
            took = time.perf_counter() - started
            if answer.status_code != 503 or time.monotonic() > end:
                break
            with self._lock:
                self.refused += 1
            time.sleep(float(answer.headers["Retry-After"]) / 4)
        fault = fault_of(answer, self.expected[seed])
        with self._lock:
            self.seconds.append(took)
            if fault:
                self.wrong.append(f"picture {seed}: {fault}")


def fault_of(answer: httpx.Response, expected: dict[str, Any]) -> str:
    """Say in what an answer differs from the one expected; "" if in nothing."""
    if answer.status_code != 200:
        return f"status {answer.status_code}: {answer.text[:200]}"
    return difference({k: v for k, v in answer.json().items() if k != "name"}, expected)


def difference(got: Any, expected: Any, place: str = "") -> str:
    """Say where two values differ by more than the tolerance; "" if nowhere."""
    if isinstance(expected, float) and isinstance(got, float):
        most = PIXEL_TOLERANCE if "xyxy" in place else SCORE_TOLERANCE
        return "" if abs(got - expected) <= most else f"{place}: {got}, not {expected}"
    if isinstance(expected, dict) and isinstance(got, dict) and got.keys() == expected.keys():
        parts = (difference(got[key], expected[key], f"{place}.{key}") for key in expected)
        return next(filter(None, parts), "")
    if isinstance(expected, list) and isinstance(got, list) and len(got) == len(expected):
        pairs = enumerate(zip(got, expected, strict=True))
        parts = (difference(a, b, f"{place}[{i}]") for i, (a, b) in pairs)
        return next(filter(None, parts), "")
    return "" if got == expected else f"{place}: {got!r}, not {expected!r}"


def measure(
    batch_size: int, *, requests: int, callers: int, queue: int, preset: str, device: str
) -> dict[str, Any]:
    """Run the load against a server that annotates so many pictures together."""
    model = GroundedRAM(preset, device=device, batch_size=batch_size)
    pictures = {seed: png(seed, size=128) for seed in SEEDS}
    expected = {seed: described(model.annotate(data)) for seed, data in pictures.items()}
    settings = Settings(max_queue=queue, timeout_s=LIMIT_S)
    with serving(create_app(model, settings)) as live:
        load = Load(live, pictures, expected)
        total = load.run(requests, callers)
        value = live.service.metrics.registry.get_sample_value
        batches = value("grounded_ram_batch_size_count") or 1.0
        together = (value("grounded_ram_batch_size_sum") or 0.0) / batches
    p50, p95, p99 = np.percentile(load.seconds, [50, 95, 99])
    return {
        "per_second": requests / total,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "together": together,
        "answered": len(load.seconds),
        "refused": load.refused,
        "wrong": Counter(load.wrong),
    }


def main() -> int:
    """Measure and print; the exit code is 1 where an answer was wrong or lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument(
        "--queue", type=int, default=8, help="smaller than callers: some are refused"
    )
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    options = {name: getattr(asked, name) for name in ("requests", "callers", "queue")}
    options |= {"preset": asked.preset, "device": asked.device}
    rows = {size: measure(size, **options) for size in (1, asked.batch_size)}
    for size, row in rows.items():
        print(
            f"up to {size} together: {row['per_second']:.1f} pictures/s; "
            f"seconds p50 {row['p50']:.2f}, p95 {row['p95']:.2f}, p99 {row['p99']:.2f}; "
            f"{row['together']:.1f} a batch; answered {row['answered']} of {asked.requests}, "
            f"refused and sent again {row['refused']}, wrong {sum(row['wrong'].values())}"
        )
        for fault, count in row["wrong"].most_common(3):
            print(f"  {count} x {fault}")
    ratios = {
        name: rows[asked.batch_size][name] / rows[1][name]
        for name in ("per_second", "p50", "p95", "p99")
    }
    told = ", ".join(f"{name} x {ratio:.2f}" for name, ratio in ratios.items())
    print(f"together against one by one: {told}")
    lost = any(row["answered"] != asked.requests or row["wrong"] for row in rows.values())
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
