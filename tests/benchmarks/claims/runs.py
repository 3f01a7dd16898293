"""A run of the claims: what all seeds share, and the numbers of one seed."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

FIRST_PAGE, FIRST_TEST, FIRST_POOL = 10_300_000, 1_500_000, 10_200_000
"""Seeds of scenes: to learn from, to measure with, and what CLIP and the encoder have seen."""


def prepare(asked: argparse.Namespace) -> None:
    """Draw and train what all seeds share."""
    from grounded_ram.training.pool import open_pool
    from tests.benchmarks.claims.book import draw_pages

    draw_pages(asked.folder / "pages", FIRST_TEST, asked.tests, asked.workers)
    pool = partial(open_pool, asked.folder / "pool", first_seed=FIRST_POOL, count=6000, size=192)
    pool(workers=asked.workers)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        list(workers.map(partial(_teach, asked), ("clip", "encoder")))


def _teach(asked: argparse.Namespace, what: str) -> None:
    import torch

    from grounded_ram.training.pool import open_pool
    from tests.benchmarks.claims.clip import trained_clip
    from tests.benchmarks.claims.start import trained_encoder

    torch.set_num_threads(1)
    pool = open_pool(asked.folder / "pool", first_seed=FIRST_POOL, count=6000, size=192, workers=1)
    if what == "clip":
        trained_clip(asked.folder, pool, steps=asked.clip_steps, seed=0)
    else:
        trained_encoder(asked.folder, pool, steps=asked.encoder_steps)


def measure_seed(asked: argparse.Namespace, seed: int) -> dict[str, dict[str, float]]:
    """Return the claims' numbers for one seed, which has scenes of its own to learn from."""
    import torch

    from grounded_ram.training.pool import open_pool
    from tests.benchmarks.claims.book import draw_pages
    from tests.benchmarks.claims.clip import trained_clip
    from tests.benchmarks.claims.start import trained_encoder, write_start
    from tests.benchmarks.claims.tables import Study, measure

    torch.set_num_threads(1)
    folder = asked.folder / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    pool = open_pool(asked.folder / "pool", first_seed=FIRST_POOL, count=6000, size=192, workers=1)
    encoder = trained_encoder(asked.folder, pool, steps=asked.encoder_steps)
    pages = draw_pages(asked.folder / "pages", FIRST_PAGE + seed * 10_000, asked.pages, workers=1)
    study = Study(
        folder=folder,
        seed=seed,
        pages=pages,
        test=draw_pages(asked.folder / "pages", FIRST_TEST, asked.tests),
        start=write_start(folder, encoder, seed),
        labels=cache(partial(trained_clip, asked.folder, pool, steps=asked.clip_steps, seed=0)),
        steps=asked.steps,
    )
    return measure(study, folder / "results.json")
