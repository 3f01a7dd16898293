"""Reading FiftyOne's labels, from doubles; ``readers/test_fiftyone_apply.py`` has the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from grounded_ram import InputError
from grounded_ram.integrations.fiftyone import from_fiftyone


class Document:
    """Has its fields as attributes and by name, as FiftyOne's documents do."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
        self.field_names = tuple(fields)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


class Detection(Document):
    def __init__(self, box: Sequence[float], mask: Any = None, **fields: Any) -> None:
        usual = {"label": "car", "confidence": None}
        super().__init__(bounding_box=list(box), mask=mask, **{**usual, **fields})

    @property
    def has_mask(self) -> bool:
        return self.mask is not None

    def get_mask(self) -> Any:
        return self.mask


def sample(path: Path, *detections: Detection, tags: Any = None) -> Document:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (40, 20)).save(path)
    return Document(filepath=str(path), found=Document(detections=list(detections)), tags=tags)


def test_a_mask_is_where_its_box_is_scaled_if_that_was_changed(tmp_path: Path) -> None:
    corner = np.zeros((5, 10), bool)
    corner[:2, :4] = True
    samples = [
        sample(
            tmp_path / "a.png",
            Detection([0.25, 0.5, 0.25, 0.25], corner, confidence=0.5, tag_score=0.25),
            Detection([0.25, 0.5, 0.5, 0.5], corner),  # twice as wide and high
            Detection([-0.125, -0.1, 0.25, 0.25], np.ones((5, 10), bool)),  # half outside
            Detection([0.5, 0.5, 0.5, 0.5]),
        )
    ]
    (found,) = from_fiftyone(samples, "found")
    expected = np.zeros((4, 20, 40), bool)
    expected[0, 10:12, 10:14] = True
    expected[1, 10:14, 10:18] = True
    expected[2, :3, :5] = True
    expected[3, 10:, 20:] = True
    np.testing.assert_array_equal(found.masks.to_dense(), expected)
    assert found.detections.confidence.tolist() == [0.5, 1, 1, 1]
    assert found.detections.data["tag_score"].tolist() == [0.25, 1, 1, 1]


@pytest.mark.parametrize(
    "box",
    [
        (0.1, 1.1, 0.25, 0.5),
        (1.1, 0.1, 0.25, 0.25),
        (-0.5, 0.1, 0.25, 0.25),
        (0.1, -0.5, 0.25, 0.25),
        (1.0, 1.0, 0.25, 0.25),
    ],
)
def test_an_object_beyond_the_image_is_left_out(tmp_path: Path, box: Sequence[float]) -> None:
    size = (round(box[3] * 20), round(box[2] * 40))
    outside = [Detection(box, np.ones(size, bool)), Detection(box), Detection(box, np.ones((1, 1)))]
    inside = Detection([0, 0, 0.5, 0.5], label="dog")
    (found,) = from_fiftyone([sample(tmp_path / "a.png", *outside, inside)], "found")
    assert found.tags.names == ("dog",)
    assert found.masks.area.tolist() == [200]


def test_tags_of_the_sample_go_before_the_names_of_objects(tmp_path: Path) -> None:
    tags = Document(
        classifications=[
            Document(label="beach", confidence=0.5, kind="scene"),
            Document(label="sun", confidence=None),
        ]
    )
    samples = [sample(tmp_path / "a.png", Detection([0, 0, 1, 1]), tags=tags)]
    (found,) = from_fiftyone(samples, "found", tags_field="tags")
    assert found.tags.names == ("beach", "sun", "car")
    assert found.tags.kinds == ("scene", "object", "object")
    assert found.tags.scores.tolist() == [0.5, 1, 1]
    assert found.detections.class_id.tolist() == [2]


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    samples = [sample(tmp_path / part / "a.png") for part in ("x", "y")]
    names = [one.image.file_name for one in from_fiftyone(samples, "found")]
    assert names == ["x/a.png", "y/a.png"]
    with pytest.raises(InputError, match="is not in the subpath"):
        list(from_fiftyone(samples, "found", root=tmp_path / "x"))


def test_an_empty_dataset_and_empty_fields_are_ordinary(tmp_path: Path) -> None:
    assert list(from_fiftyone([], "found")) == []
    empty = Document(filepath=sample(tmp_path / "a.png").filepath, found=None)
    (one,) = from_fiftyone([empty], "found")
    assert len(one.detections) == 0
    assert one.masks.shape == (0, 20, 40)


def test_a_field_of_something_else_is_said(tmp_path: Path) -> None:
    samples = [sample(tmp_path / "a.png", tags=Document(polylines=[]))]
    with pytest.raises(InputError, match=r"no field 'ground_ram'.*filepath, found, tags"):
        from_fiftyone(samples)
    with pytest.raises(InputError, match="tags: expected Detections, got Document"):
        from_fiftyone(samples, "tags")
