"""Which regions of a dataset have a wrong label, and why: the settings, and the judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.contradictions import contradicted
from grounded_ram.data_engine.cleaning.outliers import outliers
from grounded_ram.data_engine.cleaning.regions import Regions
from grounded_ram.data_engine.cleaning.whitening import Whitening
from grounded_ram.errors import InputError
from grounded_ram.rules import is_share


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """How wrong labels are told from right ones.

    ``tests/benchmarks/cleaning.py`` measures what each setting costs and gains.

    Raises:
        InputError: a value lies outside its range.
    """

    share: float = 0.1
    """Of the regions of each label this share is removed, those that look least like the others, as
    RAM's data engine does. It removes them of a label without mistakes, too."""
    least_distance: float = 0.0
    """Only those are removed that lie farther out than so many times the label's median: above 0,
    the share is the most that may go, and clean labels lose less of what is right."""
    clusters: int = 1
    """Looks that one label may have; labels of few regions get fewer. With more than 1 outliers are
    found less often, even of labels that have several looks: some get a centre of their own."""
    seed: int = 0
    """Of the clustering."""
    least_regions: int = 10
    """Labels of fewer regions are left alone: of so few nobody can say what is usual."""
    contradictions: bool = True
    """Remove labels that the tagger sees in the whole picture and not in the region alone."""
    least_alone: float = 0.5
    """A region alone says no where its score is lower."""
    most_contradicted: float = 0.4
    """Where regions alone say no of a larger share of a label, it is the tagger that does not know
    such things alone: it is not believed then, and all stay."""
    least_whole: float = 0.0
    """The whole picture says yes where its score is at least this. Pictures only have scores of
    tags that their tagger saw, so that 0 takes its word for it."""
    margin: float = 0.5
    """A crop is wider than the box by this share on each side."""
    only_mask: bool = False
    """Compare the object's own pixels alone, all others painted over, where there are masks."""

    def __post_init__(self) -> None:
        for name in ("share", "least_alone", "least_whole", "most_contradicted"):
            if not is_share(getattr(self, name)):
                raise InputError(f"{name}: expected a number in [0, 1], got {getattr(self, name)}")
        for name, least in (
            ("clusters", 1),
            ("least_regions", 1),
            ("least_distance", 0),
            ("margin", 0),
        ):
            if not getattr(self, name) >= least:
                raise InputError(
                    f"{name}: expected a number from {least} on, got {getattr(self, name)}"
                )

    def record(self) -> dict[str, Any]:
        """Return the settings in plain values."""
        return asdict(self)


class Verdict(NamedTuple):
    """What was found of one region.

    Args:
        reason: why its label is removed; None where it stays.
        distance: how far out it lies, as a multiple of its label's median; NaN where the label was
            left alone.
    """

    reason: Reason | None
    distance: float


@dataclass(frozen=True)
class LabelCount:
    """What became of one label.

    Args:
        label: its name.
        regions: how many it had.
        outliers: how many of them were removed as they look unlike the others.
        contradicted: how many as the tagger does not see it there.
        compared: whether they were compared with one another; they were too few if not.
    """

    label: str
    regions: int
    outliers: int
    contradicted: int
    compared: bool

    @property
    def removed(self) -> int:
        """Return how many were removed in all."""
        return self.outliers + self.contradicted


def judge(regions: Regions, settings: Cleaning) -> list[Verdict]:
    """Judge all regions of a dataset, those of one label at a time; their order has no effect.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    embeddings = regions.embeddings()
    even = Whitening.of(embeddings)
    denied = _denied(regions, settings)
    distances = np.full(len(regions), np.nan, np.float32)
    outside = np.zeros(len(regions), bool)
    for rows in regions.by_label().values():
        if denied[rows].mean() > settings.most_contradicted:
            denied[rows] = False
        outside[rows], distances[rows] = outliers(
            even(embeddings[rows]),
            share=settings.share,
            clusters=settings.clusters,
            seed=settings.seed,
            least=settings.least_regions,
            least_distance=settings.least_distance,
        )
    return [
        Verdict(Reason.CONTRADICTED if no else Reason.OUTLIER if out else None, distance)
        for no, out, distance in zip(
            denied.tolist(), outside.tolist(), distances.tolist(), strict=True
        )
    ]


def _denied(regions: Regions, settings: Cleaning) -> NDArray[np.bool_]:
    """Return which labels the tagger sees in the picture, and not in the region alone."""
    if not settings.contradictions:
        return np.zeros(len(regions), bool)
    return contradicted(
        np.array([one.alone for one in regions.known]),
        np.array([one.whole for one in regions.known]),
        least_alone=settings.least_alone,
        least_whole=settings.least_whole,
    )


def count_labels(regions: Regions, verdicts: Iterable[Verdict]) -> list[LabelCount]:
    """Count what became of each label, the one with most removed first, then by name."""
    all_of, out, denied, compared = Counter[str](), Counter[str](), Counter[str](), set[str]()
    for region, verdict in zip(regions.known, verdicts, strict=True):
        all_of[region.label] += 1
        out[region.label] += verdict.reason is Reason.OUTLIER
        denied[region.label] += verdict.reason is Reason.CONTRADICTED
        if not np.isnan(verdict.distance):
            compared.add(region.label)
    rows = [
        LabelCount(name, count, out[name], denied[name], name in compared)
        for name, count in all_of.items()
    ]
    return sorted(rows, key=lambda row: (-row.removed, row.label))
