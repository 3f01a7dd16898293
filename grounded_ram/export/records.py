"""Our own format: one line of JSON an image, from which the annotation comes back as it was.

All is kept but the pixels, which stay in the picture's file, and the run's record, which is one for
all lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import supervision as sv
from pycocotools import mask as coco_mask

from grounded_ram.annotation import (
    OPTIONAL_SCORES,
    SCORE_COLUMNS,
    Annotation,
    ImageFacts,
    Reason,
    Rejected,
    Tags,
    objects,
)
from grounded_ram.export import shapes
from grounded_ram.export.files import json_bytes


def encode(annotation: Annotation) -> bytes:
    """Write an annotation down as one line of JSON, its end included; the run is left out."""
    image, tags = annotation.image, annotation.tags
    value = {
        "file_name": image.file_name,
        "path": image.path,
        "size_hw": [int(side) for side in image.size_hw],
        "sha256": image.sha256,
        "notes": list(image.notes),
        "caption": annotation.caption,
        "tags": [
            [name, _short(score), kind]
            for name, score, kind in zip(tags.names, tags.scores, tags.kinds, strict=True)
        ],
        "objects": [_object(annotation, row) for row in range(len(annotation.detections))],
        "ungrounded": {name: reason.name for name, reason in annotation.ungrounded.items()},
        "rejected": [
            [one.name, one.box_score, list(one.box_xyxy), one.reason.name, one.instead]
            for one in annotation.rejected
        ],
    }
    return json_bytes(value) + b"\n"


def decode(line: bytes, run: Mapping[str, Any] | None = None) -> Annotation:
    """Return the annotation of a line, without pixels.

    Args:
        line: as ``encode`` wrote it.
        run: how it was made.
    """
    value = json.loads(line)
    names, scores, kinds = zip(*value["tags"], strict=True) if value["tags"] else ((), (), ())
    tags = Tags(tuple(names), np.array(scores, np.float32), tuple(kinds))
    facts = ImageFacts(
        value["path"],
        (value["size_hw"][0], value["size_hw"][1]),
        value["sha256"],
        tuple(value["notes"]),
        value["file_name"],
    )
    return Annotation(
        facts,
        None,
        tags,
        _detections(value["objects"], tags, facts.size_hw),
        {name: Reason[reason] for name, reason in value["ungrounded"].items()},
        run or {},
        tuple(
            Rejected(name, score, (box[0], box[1], box[2], box[3]), Reason[reason], instead)
            for name, score, box, reason, instead in value["rejected"]
        ),
        value["caption"],
    )


class Spool:
    """Annotations of one run that wait in a file until they are exported.

    Args:
        file: empty, open for reading and writing in binary.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._run: Mapping[str, Any] = {}

    def add(self, annotation: Annotation) -> None:
        """Keep an annotation, but for its pixels."""
        self._run = annotation.run
        self._file.write(encode(annotation))

    def read(self) -> Iterator[Annotation]:
        """Return what was added, from the first on; one reader at a time."""
        self._file.seek(0)
        for line in self._file:
            yield decode(line, self._run)


def _object(annotation: Annotation, row: int) -> dict[str, Any]:
    found = annotation.detections
    region = shapes.region_of(annotation.masks, row)
    data = found.data
    return {
        "tag": int(np.asarray(found.class_id)[row]),
        "box_xyxy": [_short(side) for side in found.xyxy[row]],
        "mask": None if region is None else shapes.rle(region, annotation.image.size_hw)["counts"],
        "scores": {
            key: None if np.isnan(data[key][row]) else _short(data[key][row])
            for key in (*SCORE_COLUMNS, *OPTIONAL_SCORES)
            if key in data
        },
        "alternatives": [list(other) for other in data.get("alternatives", [()] * (row + 1))[row]],
    }


def _detections(
    rows: Sequence[Mapping[str, Any]], tags: Tags, size_hw: tuple[int, int]
) -> sv.Detections:
    ids = np.array([row["tag"] for row in rows], np.int64)
    columns = [key for key in (*SCORE_COLUMNS, *OPTIONAL_SCORES) if _has(rows, key)]
    data: dict[str, Any] = {
        key: np.array(
            [np.nan if row["scores"][key] is None else row["scores"][key] for row in rows]
        ).astype(np.float32)
        for key in columns
    }
    return sv.Detections(
        np.array([row["box_xyxy"] for row in rows], np.float32).reshape(-1, 4),
        mask=_masks([row["mask"] for row in rows], size_hw),
        confidence=data["box_score"],
        class_id=ids,
        data={
            "class_name": np.array([tags.names[i] for i in ids], str),
            "alternatives": objects(
                [tuple((name, score) for name, score in row["alternatives"]) for row in rows]
            ),
            **data,
        },
    )


def _has(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Tell whether a column is there; without rows, every one is."""
    return all(key in row["scores"] for row in rows)


def _masks(counts: Sequence[str | None], size_hw: tuple[int, int]) -> sv.CompactMask:
    """Return the masks, each in its tight box."""
    height, width = size_hw
    empty = [height * width]
    rles: list[dict[str, Any]] = [
        {"size": [height, width], "counts": empty if one is None else one} for one in counts
    ]
    boxes = np.zeros((len(rles), 4), np.float64)
    for row, rle in enumerate(rles):
        if counts[row] is not None:
            x, y, w, h = coco_mask.toBbox({**rle, "counts": rle["counts"].encode()})
            boxes[row] = x, y, x + w - 1, y + h - 1
    return sv.CompactMask.from_coco_rle(rles, boxes, (height, width))


def _short(value: Any) -> float:
    """Return the number with the fewest digits that is this float32 again."""
    return float(str(np.float32(value)))
