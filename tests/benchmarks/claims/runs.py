"""A run of the claims: what all seeds share, and the numbers of one seed."""

from __future__ import annotations

import argparse
from functools import cache

FIRST_PAGE, FIRST_TEST = 10_300_000, 1_500_000
"""Seeds of scenes: to learn from, and to measure with."""


def prepare(asked: argparse.Namespace) -> None:
    """Draw and train what all seeds share."""
    from tests.benchmarks.claims.book import draw_pages

    draw_pages(asked.folder / "pages", FIRST_TEST, asked.tests, asked.workers)


def measure_seed(asked: argparse.Namespace, seed: int) -> dict[str, dict[str, float]]:
    """Return the claims' numbers for one seed, which has scenes of its own to learn from."""
    import torch

    from grounded_ram.training.features import Features
    from tests.benchmarks.claims.book import draw_pages
    from tests.benchmarks.claims.clip import BookCLIP, trained_clip
    from tests.benchmarks.claims.start import tiny_encoder, write_start
    from tests.benchmarks.claims.study import Study
    from tests.benchmarks.claims.tables import measure

    torch.set_num_threads(1)
    folder = asked.folder / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    pages = draw_pages(asked.folder / "pages", FIRST_PAGE + seed * 10_000, asked.pages, workers=1)
    seeing, config = tiny_encoder()
    features = asked.folder / "features"

    @cache
    def clip() -> BookCLIP:
        kept = Features(features, seeing.eval(), torch.device("cpu"))
        tokens, _ = kept.of([page.image for page in pages], lambda path, reason: None)
        return trained_clip(seeing, pages, tokens, folder / "clip.state", steps=asked.clip_steps)

    study = Study(
        folder=folder,
        seed=seed,
        pages=pages,
        test=draw_pages(asked.folder / "pages", FIRST_TEST, asked.tests),
        start=write_start(folder / "start" / "model", seeing, config, seed),
        features=features,
        clip=clip,
        steps=asked.steps,
    )
    return measure(study, folder / "results.json", asked.claims.split(","))
