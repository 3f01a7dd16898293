"""A strict reader of YouTube-VIS files, which knows nothing of how they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

PER_FRAME = ("segmentations", "bboxes", "areas", "scores")


def load(path: Path) -> dict[str, Any]:
    """Read a file and make sure that all in it agrees with the layout and with itself."""
    told: dict[str, Any] = json.loads(path.read_bytes(), parse_constant=_no_constant)
    assert set(told) == {"info", "licenses", "videos", "categories", "annotations"}
    (video,) = told["videos"]
    assert video["id"] == 1
    assert len(video["file_names"]) == video["length"] == len(video["frame_numbers"])
    assert len(set(video["file_names"])) == video["length"] == len(video["seconds"])
    categories = {one["id"]: one["name"] for one in told["categories"]}
    assert sorted(categories) == list(range(1, len(categories) + 1))
    assert [*categories.values()] == sorted(set(categories.values()))
    assert [one["id"] for one in told["annotations"]] == [*range(1, len(told["annotations"]) + 1)]
    for one in told["annotations"]:
        assert one["category_id"] in categories
        _check(one, video)
    return told


def masks(annotation: dict[str, Any]) -> dict[int, NDArray[np.bool_]]:
    """Return a track's masks by the index of their frame."""
    found = enumerate(annotation["segmentations"])
    return {index: coco_mask.decode(rle).astype(bool) for index, rle in found if rle is not None}


def _check(one: dict[str, Any], video: dict[str, Any]) -> None:
    assert (one["video_id"], one["iscrowd"]) == (1, 0)
    assert [one[key] for key in ("height", "width", "length")] == [
        video[key] for key in ("height", "width", "length")
    ]
    assert {len(one[key]) for key in PER_FRAME} == {video["length"]}
    decoded = masks(one)
    assert decoded
    for index in range(video["length"]):
        row = [one[key][index] for key in PER_FRAME]
        if index not in decoded:
            assert row == [None] * 4
            continue
        mask = decoded[index]
        assert mask.shape == (video["height"], video["width"])
        ys, xs = np.nonzero(mask)
        box = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
        assert row[1] == box
        assert row[2] == mask.sum()
        assert 0 < row[3]["box_score"] <= 1


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
