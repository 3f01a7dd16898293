"""Thresholds of boxes at which labels reach a precision that is wanted, measured on a sample.

Of each label the lowest threshold is taken above which the wanted share of its objects is right.
Its uncertainty is the range of the thresholds found in samples of as many pictures, drawn with
replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, percentile intervals);
pictures are drawn, not objects, for the objects of a picture are not independent. The precision
there has Wilson's interval (Wilson, JASA 1927; Brown, Cai and DasGupta, Statistical Science 2001,
for why not the usual one). It knows nothing of the threshold being chosen on the same objects, so
the lower end is the one to trust.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.evaluation.comparison import Comparison, Coverage
from grounded_ram.evaluation.matching import Matcher
from grounded_ram.evaluation.truth import Truth
from grounded_ram.export.dataset import Dataset
from grounded_ram.rules import is_share
from grounded_ram.vocabulary.labelling import Labelling

LEAST = 35
"""Objects that a label needs for a threshold of its own; half of them must stay above it. Were all
of fewer right, a precision of 0.9 would still not be sure: the lower end of 35 of 35 is 0.90."""

_RESAMPLES = 500
_POOLED = ""  # no label is called so
_NAN = float("nan")
_Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


class Source(str, Enum):
    """Where a label's threshold comes from."""

    OWN = "its own objects"
    POOLED = "all labels together, for its own objects are too few"
    UNREACHED = "the best there is, for none reaches the precision"
    FEW = "none, for its objects are too few and all labels together do not reach the precision"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Kept:
    """What stays above a threshold.

    Args:
        objects: how many.
        right: how many of them are right.
        true: true objects of that name.
    """

    objects: int
    right: int
    true: int

    @property
    def precision(self) -> float:
        """Return the share of the objects that are right; NaN of none."""
        return self.right / self.objects if self.objects else float("nan")

    @property
    def recall(self) -> float:
        """Return the share of the true objects that are found; NaN of none."""
        return self.right / self.true if self.true else float("nan")

    @property
    def precision_interval(self) -> tuple[float, float]:
        """Return where the precision lies with 95 % confidence, by Wilson."""
        return wilson(self.right, self.objects)


@dataclass(frozen=True)
class Calibrated:
    """The threshold of one label.

    Args:
        label: what the run calls its objects.
        source: where the threshold comes from.
        threshold: objects scored at or below it go; NaN if there is none.
        interval: where it lies in 95 % of samples; 1 where some do not reach the precision. NaN
            where the threshold is not of the label's own objects.
        before: what stays above the run's own threshold.
        after: what stays above this one; as before, where it is only told and not set.
    """

    label: str
    source: Source
    threshold: float
    interval: tuple[float, float]
    before: Kept
    after: Kept

    @property
    def is_set(self) -> bool:
        """Whether the threshold is to be used: not where the precision is out of reach."""
        return self.source in (Source.OWN, Source.POOLED)


@dataclass(frozen=True)
class Calibration:
    """The thresholds of all labels that the truth has a name for, sorted.

    Args:
        precision: that was wanted.
        labels: one row a label.
        pooled: all of them as one label.
        coverage: what was compared.
        labelling: the vocabulary of the run.
        run: how it was made.
    """

    precision: float
    labels: tuple[Calibrated, ...]
    pooled: Calibrated
    coverage: Coverage
    labelling: Labelling
    run: Mapping[str, Any]

    def notes(self) -> list[str]:
        """Say what a reader of the thresholds must know."""
        floor = [
            row.label for row in self.labels if row.source is Source.OWN and row.after == row.before
        ]
        told = []
        if floor:
            told.append(
                "right often enough at the run's own threshold, which stays; a lower one was not "
                f"tried (--box-threshold): {', '.join(floor)}"
            )
        if self.run.get("tagger", "") is None and self.labelling.edits.ask == "tagger":
            told.append("the run looked for words of --tags, whose thresholds no vocabulary sets")
        return told


@dataclass(frozen=True, eq=False)
class _Sample:
    """N objects of one label, best first.

    Args:
        scores: (N,)
        right: (N,) whether each is right.
        pictures: (N,) number of its picture.
        true: how many true objects there are.
        floor: the threshold that they passed.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    pictures: NDArray[np.int_]
    true: int
    floor: float


def calibrate(
    dataset: Dataset, truth: Truth, precision: float, *, least: int = LEAST
) -> Calibration:
    """Find the threshold of each label at which its objects reach a precision.

    An object is right as in ``dataset.evaluate_dataset``, its score is that of its box. Labels of
    fewer objects get the threshold of all together; what the truth has no name for gets none.

    Args:
        dataset: a run; best one with a low ``box_threshold``, for what it dropped is not seen.
        truth: true objects of some of its pictures.
        precision: in (0, 1].
        least: objects that a label needs for a threshold of its own.

    Raises:
        InputError: the precision is none, no picture is in both, or a picture has two sizes.
    """
    if not is_share(precision) or precision == 0:
        raise InputError(f"precision: expected a number above 0, up to 1; got {precision!r}")
    compared = Comparison(dataset, truth.pictures, truth.names)
    samples, together = _samples(compared, truth)
    every = {**samples, _POOLED: together}
    intervals = _intervals(every, precision, least, compared.coverage().pictures)
    rows = {label: _calibrated(label, one, precision, least) for label, one in every.items()}
    rows = {
        label: row if math.isnan(row.threshold) else replace(row, interval=intervals[label])
        for label, row in rows.items()
    }
    pooled = rows.pop(_POOLED)
    labels = [
        row if len(samples[label].scores) >= least else _pooled(row, samples[label], pooled)
        for label, row in rows.items()
    ]
    return Calibration(
        precision, tuple(labels), pooled, compared.coverage(), compared.labelling, compared.run
    )


def wilson(right: int, objects: int) -> tuple[float, float]:
    """Return Wilson's interval of a share with 95 % confidence; all of [0, 1] where there is none.

    Args:
        right: how many of the objects.
        objects: which are independent of one another.
    """
    if not objects:
        return 0.0, 1.0
    share, unsure = right / objects, _Z**2 / objects
    middle = share + unsure / 2
    half = math.sqrt(share * (1 - share) * unsure + unsure**2 / 4)
    low, high = ((middle + side) / (1 + unsure) for side in (-half, half))
    return max(low, 0.0), min(high, 1.0)


def _samples(compared: Comparison, truth: Truth) -> tuple[dict[str, _Sample], _Sample]:
    """Return the objects of each label, sorted, and all of them together."""
    matcher = Matcher("segm" if truth.has_masks else "bbox")
    found: dict[str, list[tuple[float, bool, int]]] = {}
    names: dict[str, str] = {}
    for number, pair in enumerate(compared.pairs(truth)):
        scores = np.asarray(pair.annotation.detections.confidence)[pair.rows].tolist()
        verdicts = matcher.add(pair.true, pair.found, scores).tolist()
        rows = zip(pair.labels, pair.found, scores, verdicts, strict=True)
        for label, one, score, verdict in rows:
            names[label] = one.name
            if verdict >= 0:  # not in a crowd
                found.setdefault(label, []).append((score, verdict == 1, number))
    usual = float(compared.run.get("box_threshold") or 0.0)
    samples = {}
    for label in sorted(found):
        own = compared.labelling.box_threshold(label)
        true = matcher.true_objects(names[label])
        samples[label] = _sample(found[label], true, usual if own is None else own)
    every = [row for rows in found.values() for row in rows]
    return samples, _sample(every, sum(map(matcher.true_objects, matcher.names())), usual)


def _sample(rows: Sequence[tuple[float, bool, int]], true: int, floor: float) -> _Sample:
    best_first = sorted(rows, key=lambda row: (-row[0], row[2]))
    scores, right, pictures = zip(*best_first, strict=True) if rows else ((), (), ())
    return _Sample(
        np.array(scores, np.float64), np.array(right, bool), np.array(pictures, int), true, floor
    )


def _calibrated(label: str, sample: _Sample, precision: float, least: int) -> Calibrated:
    """Find the lowest threshold of a label that reaches the precision, else the best one."""
    weights = np.ones(len(sample.scores), int)
    objects, right, ends = _counts(sample, weights)
    enough = objects[ends] >= max(least // 2, 1)
    before = Kept(len(sample.scores), int(sample.right.sum()), sample.true)
    end = _last_end(sample, weights, precision, least)
    source = Source.OWN if end is not None else Source.UNREACHED
    if end is None and enough.any():
        some = ends[enough]
        end = int(max(some, key=lambda place: (right[place] / objects[place], place)))
    if end is None:
        return Calibrated(label, Source.FEW, _NAN, (_NAN, _NAN), before, before)
    after = Kept(int(objects[end]), int(right[end]), sample.true)
    return Calibrated(label, source, _threshold(sample, end), (_NAN, _NAN), before, after)


def _pooled(row: Calibrated, sample: _Sample, pooled: Calibrated) -> Calibrated:
    """Give a label of few objects the threshold of all, if that reaches the precision."""
    nothing = (_NAN, _NAN)
    if not pooled.is_set:
        return replace(row, source=Source.FEW, threshold=_NAN, interval=nothing, after=row.before)
    stay = sample.scores > pooled.threshold
    after = Kept(int(stay.sum()), int(sample.right[stay].sum()), sample.true)
    limit = pooled.threshold
    return replace(row, source=Source.POOLED, threshold=limit, interval=nothing, after=after)


def _intervals(
    samples: Mapping[str, _Sample], precision: float, least: int, pictures: int
) -> dict[str, tuple[float, float]]:
    """Return where the threshold of each label lies in most samples of as many pictures."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {label: [] for label in samples}
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(pictures, size=pictures), minlength=pictures)
        for label, sample in samples.items():
            end = _last_end(sample, drawn[sample.pictures], precision, least)
            found[label].append(1.0 if end is None else _threshold(sample, end))
    return {
        label: (float(np.quantile(limits, 0.025)), float(np.quantile(limits, 0.975)))
        for label, limits in found.items()
    }


def _last_end(
    sample: _Sample, weights: NDArray[np.int_], precision: float, least: int
) -> int | None:
    """Return the last object that may stay, if enough of those down to it are right."""
    objects, right, ends = _counts(sample, weights)
    reached = right[ends] >= precision * objects[ends] - 1e-9
    some = ends[reached & (objects[ends] >= max(least // 2, 1))]
    return int(some[-1]) if len(some) else None


def _counts(
    sample: _Sample, weights: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.int_]]:
    """Count the objects and the right ones down to each; objects of equal score stay together.

    Returns:
        (N,) and (N,) counts, and the places of the last of each score.
    """
    ends = np.flatnonzero(np.append(np.diff(sample.scores) != 0, True)[: len(weights)])
    return np.cumsum(weights), np.cumsum(weights * sample.right), ends


def _threshold(sample: _Sample, end: int) -> float:
    """Return the number of fewest digits that drops what comes after an object, and not that."""
    if end + 1 == len(sample.scores):
        return sample.floor
    low, high = float(sample.scores[end + 1]), float(sample.scores[end])
    middles = (round((low + high) / 2, digits) for digits in range(2, 9))
    return next((middle for middle in middles if low <= middle < high), low)
