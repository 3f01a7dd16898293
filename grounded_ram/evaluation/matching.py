"""COCO's matching of found objects with true ones, picture by picture, and the AP of all.

pycocotools does the matching and the arithmetic. It is given one picture at a time and one class at
a time, so that what stays in memory is a few bytes for each object, and no mask.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from grounded_ram.evaluation.truth import CocoObject

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The IoUs over which COCO's AP is the mean."""

_AP_OBJECTS = 100  # of a class in a picture count for AP, the best scored ones
_ALL_OBJECTS = 10**6


@dataclass(frozen=True)
class AP:
    """Average precision, NaN where nothing is true.

    Args:
        mean: over ``THRESHOLDS``: COCO's AP.
        at_50: at IoU 0.5.
        at_75: at IoU 0.75.
    """

    mean: float
    at_50: float
    at_75: float


class Matcher:
    """Matches the objects of pictures, and sums up.

    Within a class, of the found objects the best scored one first takes the true one that it
    overlaps most. What lies in a crowd counts neither for nor against.

    Args:
        kind: compare boxes or masks.
    """

    def __init__(self, kind: Literal["bbox", "segm"]) -> None:
        self._kind = kind
        self._matches: dict[str, list[dict[str, Any]]] = {}

    def add(
        self, true: Sequence[CocoObject], found: Sequence[CocoObject], scores: Sequence[float]
    ) -> NDArray[np.int8]:
        """Match the objects of one picture; names must be the truth's.

        Args:
            true: N objects; with masks, where masks are compared, unless they are a crowd.
            found: M objects.
            scores: of these.

        Returns:
            (M,) 1 where an object is right at IoU 0.5, 0 where it is wrong, -1 where it lies in a
            crowd.
        """
        verdicts = np.zeros(len(found), np.int8)
        if self._kind == "segm":  # a crowd without a mask has nothing to compare
            true = [one for one in true if one.mask is not None]
        for name in sorted({one.name for one in (*true, *found)}):
            rows = [row for row, one in enumerate(found) if one.name == name]
            match = self._match(
                [one for one in true if one.name == name],
                [found[row] for row in rows],
                [scores[row] for row in rows],
            )
            self._matches.setdefault(name, []).append(match)
            places = [rows[number - 1] for number in match["dtIds"]]
            right, ignored = match["dtMatches"][0], match["dtIgnore"][0]
            verdicts[places] = np.where(ignored, -1, right)
        return verdicts

    def names(self) -> list[str]:
        """Return the classes that are true or found somewhere, sorted."""
        return sorted(self._matches)

    def true_objects(self, name: str) -> int:
        """Count the true objects of a class, without crowds."""
        return sum(int((match["gtIgnore"] == 0).sum()) for match in self._matches.get(name, ()))

    def ap(self, name: str) -> AP:
        """Return the AP of a class."""
        precision = self._precision(name)
        if precision is None:
            return AP(float("nan"), float("nan"), float("nan"))
        each = precision.mean(axis=1)
        return AP(float(each.mean()), float(each[0]), float(each[5]))

    def _precision(self, name: str) -> NDArray[np.float64] | None:
        """Return (10, 101) precision by IoU and recall; None if nothing of the class is true."""
        if not self.true_objects(name):
            return None
        evaluation = _evaluation(None, None, self._kind, pictures=len(self._matches[name]))
        evaluation.params.maxDets = [_AP_OBJECTS]
        evaluation._paramsEval = evaluation.params
        evaluation.evalImgs = self._matches[name]
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            evaluation.accumulate()
        precision: NDArray[np.float64] = evaluation.eval["precision"][:, :, 0, 0, 0]
        return precision

    def _match(
        self, true: Sequence[CocoObject], found: Sequence[CocoObject], scores: Sequence[float]
    ) -> dict[str, Any]:
        """Match the objects of one class, of which there is at least one; ids count from 1."""
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = _evaluation(
                _objects(true), _objects(found, scores), self._kind, pictures=1
            )
            evaluation.evaluate()
        match: dict[str, Any] = evaluation.evalImgs[0]
        for key in ("dtMatches", "dtIgnore"):
            match[key] = match[key].astype(bool)
        kept = ("dtIds", "dtScores", "dtMatches", "dtIgnore", "gtIgnore")
        return {key: match[key] for key in kept}


def mean_ap(each: Sequence[AP]) -> AP:
    """Return the means over classes, but for those of which nothing is true."""
    known = [(one.mean, one.at_50, one.at_75) for one in each if not np.isnan(one.mean)]
    return AP(*np.mean(known, axis=0).tolist()) if known else AP(*[float("nan")] * 3)


def _evaluation(true: COCO | None, found: COCO | None, kind: str, *, pictures: int) -> COCOeval:
    evaluation = COCOeval(true, found, kind)
    evaluation.params.iouThrs = THRESHOLDS
    evaluation.params.areaRng = [[0, 1e10]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.params.maxDets = [_ALL_OBJECTS]
    evaluation.params.catIds = [1]
    evaluation.params.imgIds = list(range(1, pictures + 1))
    return evaluation


def _objects(objects: Sequence[CocoObject], scores: Sequence[float] = ()) -> COCO:
    """Return objects of one class in one picture as pycocotools has them."""
    coco = COCO()
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "bbox": list(one.bbox_xywh),
            "area": 1.0,  # all areas count
            "iscrowd": int(one.crowd),
            "segmentation": one.mask,
        }
        for number, one in enumerate(objects, start=1)
    ]
    for item, score in zip(annotations, scores, strict=False):
        item["score"] = float(score)
    coco.dataset = {
        "images": [{"id": 1, "height": 0, "width": 0}],
        "categories": [{"id": 1}],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco
