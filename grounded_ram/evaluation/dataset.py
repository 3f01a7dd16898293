"""A labelled dataset against what people drew: AP, precision and recall, what is taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grounded_ram.evaluation.comparison import Comparison, Coverage
from grounded_ram.evaluation.confusion import confused
from grounded_ram.evaluation.matching import AP, Matcher, mean_ap
from grounded_ram.evaluation.tag_truth import TagCounts, TagScore, TagSummary, TagTruth, summary
from grounded_ram.evaluation.truth import Truth
from grounded_ram.export.dataset import Dataset


@dataclass(frozen=True)
class ClassScore:
    """How right the objects of one class are, at the run's own thresholds and IoU 0.5.

    Args:
        name: the truth's.
        true: true objects.
        found: objects that were called so, without those in crowds.
        right: those of them that are.
        box: average precision of the boxes.
        mask: of the masks; NaN where masks were not compared.
    """

    name: str
    true: int
    found: int
    right: int
    box: AP
    mask: AP

    @property
    def precision(self) -> float:
        """Return the share of the found objects that are right; NaN of none."""
        return self.right / self.found if self.found else float("nan")

    @property
    def recall(self) -> float:
        """Return the share of the true objects that were found; NaN of none."""
        return self.right / self.true if self.true else float("nan")

    @property
    def f1(self) -> float:
        """Return the harmonic mean of the two; NaN where nothing is true and nothing found."""
        both = self.true + self.found
        return 2 * self.right / both if both else float("nan")


@dataclass(frozen=True)
class Report:
    """All that was measured of objects.

    Args:
        by_masks: whether objects were matched by masks; by boxes where the truth has no masks.
        classes: one row for each class that is true or found somewhere, sorted.
        total: all of them as one; its APs are means over classes, as COCO's are.
        confusion: (true name, what it was called) -> how often; see ``confusion.confused``.
        tags: the same truth as tags of whole pictures, a row for each class.
        tag_summary: of these.
        coverage: what was compared.
    """

    by_masks: bool
    classes: tuple[ClassScore, ...]
    total: ClassScore
    confusion: Mapping[tuple[str, str], int]
    tags: tuple[TagScore, ...]
    tag_summary: TagSummary
    coverage: Coverage


@dataclass(frozen=True)
class TagReport:
    """All that was measured of tags of whole pictures."""

    tags: tuple[TagScore, ...]
    tag_summary: TagSummary
    coverage: Coverage


def evaluate_dataset(dataset: Dataset, truth: Truth) -> Report:
    """Compare the objects and tags of a run with a truth, reading one picture at a time.

    Args:
        dataset: the run.
        truth: true objects of some of its pictures, or of more.

    Raises:
        InputError: they have no picture in common, or a picture has two sizes.
    """
    compared = Comparison(dataset, truth.pictures, truth.names)
    by_masks = truth.has_masks
    boxes, masks = Matcher("bbox"), Matcher("segm")
    found, right = Counter[str](), Counter[str]()
    confusion, tags = Counter[tuple[str, str]](), TagCounts()
    for pair in compared.pairs(truth):
        scores = np.asarray(pair.annotation.detections.confidence)[pair.rows].tolist()
        verdicts = boxes.add(pair.true, pair.found, scores)
        if by_masks:
            verdicts = masks.add(pair.true, pair.found, scores)
        found.update(one.name for one, v in zip(pair.found, verdicts, strict=True) if v >= 0)
        right.update(one.name for one, v in zip(pair.found, verdicts, strict=True) if v == 1)
        confusion.update(confused(pair.true, [*pair.found, *pair.others], by_masks=by_masks))
        tags.add({one.name for one in pair.true}, compared.seen_tags(pair.annotation))
    names = sorted({*boxes.names(), *masks.names()})
    classes = tuple(
        ClassScore(
            name, boxes.true_objects(name), found[name], right[name], boxes.ap(name), masks.ap(name)
        )
        for name in names
    )
    each = tuple(tags.scores())
    return Report(
        by_masks, classes, _total(classes), confusion, each, summary(each), compared.coverage()
    )


def evaluate_tags(dataset: Dataset, truth: TagTruth) -> TagReport:
    """Compare the tags of a run with lists of true ones.

    Raises:
        InputError: they have no picture in common.
    """
    compared = Comparison(dataset, truth.pictures, truth.names)
    counts = TagCounts()
    for annotation, name in compared:
        seen = compared.seen_tags(annotation, note=True)
        counts.add(compared.true_tags(truth.pictures[name]), seen)
    each = tuple(counts.scores())
    return TagReport(each, summary(each), compared.coverage())


def _total(classes: Sequence[ClassScore]) -> ClassScore:
    return ClassScore(
        "all",
        sum(one.true for one in classes),
        sum(one.found for one in classes),
        sum(one.right for one in classes),
        mean_ap([one.box for one in classes]),
        mean_ap([one.mask for one in classes]),
    )
