import contextlib
import io
from typing import Any, Literal

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from grounded_ram.evaluation.matching import AP, Matcher, mean_ap
from grounded_ram.evaluation.truth import CocoObject

NAMES = ("car", "dog", "tree")
Kind = Literal["bbox", "segm"]


def box(name: str, x: float, y: float, side: float = 20, *, crowd: bool = False) -> CocoObject:
    return CocoObject(name, (x, y, side, side), _rle(x, y, side), crowd)


def _rle(x: float, y: float, side: float) -> dict[str, Any]:
    pixels = np.zeros((100, 120), np.uint8, "F")
    pixels[int(y) : int(y + side), int(x) : int(x + side)] = 1
    rle: dict[str, Any] = coco_mask.encode(pixels)
    return rle


def pictures(seed: int) -> list[tuple[list[CocoObject], list[CocoObject], list[float]]]:
    """Pictures of boxes; found ones lie beside the true ones, under names that are often right."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(12):
        true = [
            box(str(rng.choice(NAMES)), *rng.integers(0, 70, 2), 24, crowd=rng.random() < 0.15)
            for _ in range(rng.integers(0, 6))
        ]
        found = [
            box(
                one.name if rng.random() < 0.8 else str(rng.choice(NAMES)),
                *np.add(one.bbox_xywh[:2], rng.integers(0, 6, 2)),
                24,
            )
            for one in true
            for _ in range(rng.integers(0, 3))
        ]
        found += [box(str(rng.choice(NAMES)), *rng.integers(0, 70, 2)) for _ in range(2)]
        made.append((true, found, rng.integers(1, 9, len(found)).astype(float).tolist()))
    # More objects of a class than count for AP.
    crowded = [box("dog", *rng.integers(0, 70, 2)) for _ in range(130)]
    made.append(([box("dog", 5, 5)], [*crowded, box("dog", 5, 5)], [2.0] * 130 + [1.0]))
    return made


def all_at_once(made: list[Any], kind: Kind) -> tuple[COCOeval, dict[str, int]]:
    """Let pycocotools do the whole dataset, as its own demo does."""
    ids = {name: number for number, name in enumerate(NAMES, start=1)}

    def rows(place: int) -> list[dict[str, Any]]:
        return [
            {
                "image_id": number,
                "category_id": ids[one.name],
                "bbox": list(one.bbox_xywh),
                "segmentation": one.mask,
                "area": one.bbox_xywh[2] ** 2,
                "iscrowd": int(one.crowd),
                **({"score": score} if place else {}),
            }
            for number, picture in enumerate(made, start=1)
            for one, score in zip(picture[place], picture[2] if place else picture[0], strict=True)
        ]

    true = COCO()
    true.dataset = {
        "info": {},
        "images": [{"id": n + 1, "height": 100, "width": 120} for n in range(len(made))],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [{**row, "id": n} for n, row in enumerate(rows(0), start=1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        true.createIndex()
        results = [{k: v for k, v in row.items() if k != "iscrowd"} for row in rows(1)]
        if kind == "bbox":
            results = [{k: v for k, v in row.items() if k != "segmentation"} for row in results]
        evaluation = COCOeval(true, true.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation, ids


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_picture_by_picture_gives_what_pycocotools_gives_all_at_once(seed: int, kind: Kind) -> None:
    made = pictures(seed)
    expected, ids = all_at_once(made, kind)
    matcher = Matcher(kind)
    for picture in made:
        matcher.add(*picture)
    total = mean_ap([matcher.ap(name) for name in matcher.names()])
    np.testing.assert_allclose(
        (total.mean, total.at_50, total.at_75), expected.stats[:3], rtol=1e-12
    )
    for name, number in ids.items():
        precision = expected.eval["precision"][:, :, number - 1, 0, -1]
        assert matcher.ap(name).mean == pytest.approx(precision.mean(), abs=1e-12)


def test_verdicts_by_hand() -> None:
    true = [box("car", 0, 0), box("car", 50, 0), box("dog", 0, 50, 40, crowd=True)]
    found = [
        box("car", 1, 0),  # right
        box("car", 0, 0),  # fits better, but is less sure: found twice
        box("dog", 5, 55),  # in the crowd
        box("dog", 10, 60),  # as well
        box("dog", 50, 0),  # another's name
        box("car", 61, 0),  # too far off: 9 / 31
    ]
    matcher = Matcher("bbox")
    verdicts = matcher.add(true, found, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert verdicts.tolist() == [1, 0, -1, -1, 0, 0]
    assert (matcher.true_objects("car"), matcher.true_objects("dog")) == (2, 0)
    assert np.isnan(matcher.ap("dog").mean)
    # One of two at full precision: 51 of the 101 points of recall.
    assert matcher.ap("car").at_50 == pytest.approx(51 / 101)
    # The first one's IoU is 380 / 420: at the tenth of the IoUs the second one is right instead.
    assert matcher.ap("car").mean == pytest.approx(0.95 * 51 / 101)


def test_all_objects_get_a_verdict_also_where_ap_counts_a_hundred() -> None:
    far = [box("dog", 90, 70) for _ in range(120)]
    matcher = Matcher("bbox")
    verdicts = matcher.add([box("dog", 0, 0)], [*far, box("dog", 0, 0)], [0.9] * 120 + [0.1])
    assert verdicts[-1] == 1
    assert matcher.ap("dog").at_50 == 0


def test_where_masks_are_compared_a_crowd_without_one_is_left_out() -> None:
    crowd = CocoObject("dog", (0, 0, 50, 50), None, crowd=True)
    assert Matcher("segm").add([crowd], [box("dog", 0, 0)], [0.5]).tolist() == [0]
    assert Matcher("bbox").add([crowd], [box("dog", 0, 0)], [0.5]).tolist() == [-1]


def test_nothing_anywhere() -> None:
    matcher = Matcher("segm")
    assert matcher.add([], [], []).tolist() == []
    assert matcher.names() == []
    assert np.isnan(mean_ap([]).mean)
    matcher.add([box("car", 0, 0)], [], [])
    assert matcher.ap("car") == AP(0, 0, 0)
    matcher.add([], [box("dog", 0, 0)], [0.5])
    assert np.isnan(matcher.ap("dog").at_50)
    assert mean_ap([matcher.ap(name) for name in matcher.names()]) == AP(0, 0, 0)
