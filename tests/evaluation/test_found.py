import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from grounded_ram.errors import InputError
from grounded_ram.evaluation.found import objects_of, open_run
from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import key_of
from tests.hand_annotation import annotate, rectangle, ring

SIZE = (40, 60)
RING, BLOCK = ring(SIZE, (20, 30), 5, 12), rectangle(SIZE, 3, 4, 9, 20)


def test_a_coco_file_of_ours_is_a_run(tmp_path: Path) -> None:
    one = annotate([("car", RING), ("grass", BLOCK)])
    one = replace(one, image=replace(one.image, file_name="day 1/a.jpg"))
    empty = replace(annotate(seed=1), run=one.run)
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(to_coco([one, empty])))
    first, second = open_run(path)
    assert key_of(first.image) == "day 1/a.jpg"
    assert first.run == {"preset": "by hand"}
    np.testing.assert_array_equal(first.masks.to_dense(), [RING, BLOCK])
    np.testing.assert_allclose(first.detections.confidence, one.detections.confidence, atol=1e-6)
    assert first.detections.data["class_name"].tolist() == ["car", "grass"]
    assert len(second.detections) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a run or a COCO file in JSON"),
        ("[]", "without info.run"),
        ('{"info": {}}', "without info.run; the truth is named by --truth"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "coco.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"coco\.json: .*{message}"):
        open_run(path)
    with pytest.raises(InputError, match="there is no such run"):
        open_run(tmp_path / "gone")
    with pytest.raises(InputError, match="expected the folder of a run"):
        open_run(tmp_path)


def test_objects_have_tight_boxes_and_those_without_pixels_are_left_out() -> None:
    one = annotate([("car", BLOCK), ("ghost", np.zeros(SIZE, bool)), ("tree", RING)])
    (place, car), (other, tree) = objects_of(one)
    assert (place, other) == (0, 2)
    assert (car.name, car.bbox_xywh, car.crowd) == ("car", (4, 3, 16, 6), False)
    np.testing.assert_array_equal(coco_mask.decode(tree.mask), RING)
    assert objects_of(annotate()) == []
