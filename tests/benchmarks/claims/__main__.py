"""The claims of the papers in miniature: python -m tests.benchmarks.claims FOLDER

On a CPU of two cores within an hour for one seed; `--seeds 0,1,2` shows the spread. What was drawn
and trained stays in the folder, and the command goes on where it stopped when it is typed again.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

# Tiny networks crawl when threads are oversubscribed; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--claims", default="1,2,3,4,5", help="those wanted, in this order")
    parser.add_argument("--pages", type=int, default=3000, help="scenes to learn from")
    parser.add_argument("--tests", type=int, default=1000, help="scenes to measure with")
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    parser.add_argument("--clip-steps", type=int, default=800)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    from tests.benchmarks.claims.runs import measure_seed, prepare

    prepare(asked)
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(partial(measure_seed, asked), seeds))
    from tests.benchmarks.claims.tables import CLAIMS

    for number in asked.claims.split(","):
        print(f"\n{number}. {CLAIMS[number].title} (seeds {asked.seeds})")
        for name in found[0][number]:
            values = np.array([one[number][name] for one in found])
            spread = f" +- {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            each = ", ".join(f"{value:.3f}" for value in values)
            print(f"   {name:45} {values.mean():.3f}{spread}   ({each})")


if __name__ == "__main__":
    main()
