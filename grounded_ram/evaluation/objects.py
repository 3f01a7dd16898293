"""How right boxes and masks are: COCO's average precision, and plain precision and recall."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


@dataclass(frozen=True, eq=False)
class TrueObjects:
    """What one image holds, M objects.

    Args:
        names: M names.
        boxes_xyxy: (M, 4) float32 pixels.
        masks: (M, H, W) bool visible pixels.
    """

    names: tuple[str, ...]
    boxes_xyxy: NDArray[np.float32]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class Hits:
    """Counts of labels that were right, wrong, and missing."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Return the share of drawn labels that are right; NaN if none was drawn."""
        drawn = self.right + self.wrong
        return self.right / drawn if drawn else float("nan")

    @property
    def recall(self) -> float:
        """Return the share of true objects that were found; NaN if there is none."""
        true = self.right + self.missed
        return self.right / true if true else float("nan")


def count_hits(found: sv.Detections, truth: TrueObjects, *, iou: float = 0.5) -> Hits:
    """Count a detection as right if its mask overlaps an object of its name, each object once.

    Detections are matched from the best score down, each to the free object that it overlaps most.

    Args:
        found: N detections with masks and ``class_name``.
        truth: what is there.
        iou: the least mask IoU that counts.
    """
    free = np.ones(len(truth.names), bool)
    right = 0
    true_names = np.array(truth.names, object)
    for row in np.argsort(-_scores(found), kind="stable"):
        overlaps = _mask_ious(_masks(found, [row])[0], truth.masks)
        overlaps[~free | (true_names != found.data["class_name"][row])] = -1.0
        if len(overlaps) and overlaps.max() >= iou:
            free[int(overlaps.argmax())] = False
            right += 1
    return Hits(right=right, wrong=len(found) - right, missed=int(free.sum()))


def coco_average_precision(
    found: Sequence[sv.Detections],
    truth: Sequence[TrueObjects],
    *,
    kind: Literal["bbox", "segm"],
    iou: float = 0.5,
) -> float:
    """Return COCO's AP at one IoU, over all sizes, by pycocotools; NaN if no object is there.

    Args:
        found: detections of N images, with masks where ``kind`` is "segm".
        truth: their true objects.
        kind: compare boxes or masks.
        iou: the least overlap that counts.
    """
    names = sorted({name for objects in truth for name in objects.names})
    numbers = {name: number for number, name in enumerate(names, 1)}
    if not names:
        return float("nan")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        annotations = _true_rows(truth, numbers)
        true = COCO()
        true.dataset = {
            "images": [{"id": image} for image in range(len(truth))],
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
            "annotations": annotations,
        }
        true.createIndex()
        rows = _found_rows(found, numbers, with_masks=kind == "segm")
        if not rows:
            return 0.0
        evaluation = COCOeval(true, true.loadRes(rows), kind)
        evaluation.params.iouThrs = np.array([iou])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][
        0, :, :, 0, -1
    ]  # (recall, class): all sizes, 100 boxes
    return float(precision[precision > -1].mean())


def _scores(found: sv.Detections) -> NDArray[np.float32]:
    return np.zeros(0, np.float32) if found.confidence is None else found.confidence


def _masks(found: sv.Detections, rows: Sequence[int]) -> NDArray[np.bool_]:
    """Return the (N, H, W) masks of some rows."""
    picked = found.mask[list(rows)]  # type: ignore[index]
    dense: NDArray[np.bool_] = picked if isinstance(picked, np.ndarray) else picked.to_dense()
    return dense


def _mask_ious(mask: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (M,) IoU of an (H, W) mask with each of (M, H, W)."""
    both = (mask & others).sum((1, 2))
    either = (mask | others).sum((1, 2))
    ious: NDArray[np.float64] = both / np.maximum(either, 1)
    return ious


def _xywh(box: NDArray[np.float32]) -> list[float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return [x0, y0, x1 - x0, y1 - y0]


def _true_rows(truth: Sequence[TrueObjects], numbers: dict[str, int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for image, objects in enumerate(truth):
        for name, box, mask in zip(objects.names, objects.boxes_xyxy, objects.masks, strict=True):
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": numbers[name],
                    "bbox": _xywh(box),
                    "segmentation": rle.encode(np.asfortranarray(mask, np.uint8)),
                    "area": float(mask.sum()),
                    "iscrowd": 0,
                }
            )
    return rows


def _found_rows(
    found: Sequence[sv.Detections], numbers: dict[str, int], *, with_masks: bool
) -> list[dict[str, Any]]:
    """Return COCO result rows; a name that is true nowhere has no AP to lower and is left out."""
    rows = []
    for image, detections in enumerate(found):
        for row, score in enumerate(_scores(detections)):
            name = str(detections.data["class_name"][row])
            if name not in numbers:
                continue
            result: dict[str, Any] = {
                "image_id": image,
                "category_id": numbers[name],
                "score": float(score),
            }
            if with_masks:
                mask = _masks(detections, [row])[0]
                result["segmentation"] = rle.encode(np.asfortranarray(mask, np.uint8))
            else:
                result["bbox"] = _xywh(detections.xyxy[row])
            rows.append(result)
    return rows
