from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from grounded_ram.annotation import Annotation, Reason, Rejected, objects
from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.records import Spool, decode, encode
from tests.hand_annotation import annotate, rectangle, ring

SIZE = (70, 90)


def full() -> Annotation:
    """An annotation with something in every field."""
    shapes = [ring(SIZE, (30, 40), 5, 20), rectangle(SIZE, 0, 0, 1, 1), np.zeros(SIZE, bool)]
    shapes.append(rectangle(SIZE, 69, 0, 70, 90) | rectangle(SIZE, 0, 89, 9, 90))
    plain = annotate(
        list(zip(["dog", "cat", "dog", "bär"], shapes, strict=True)), ungrounded=("red",), seed=3
    )
    others = objects([(("hound", 0.31), ("pet", 0.1)), (), (), (("bear", 0.2),)])
    crops = np.array([0.1, np.nan, 0.3, 1 / 3], np.float32)
    found = replace(
        plain.detections,
        data={**plain.detections.data, "alternatives": others, "crop_score": crops},
    )
    return replace(
        plain,
        image=replace(plain.image, notes=("turned",), file_name="a/street.jpg"),
        detections=found,
        rejected=(Rejected("wolf", 0.123456789, (0.5, 1, 2, 3), Reason.PIECE, "dog"),),
        caption='a "dog"\nand a cat',
    )


def same(a: Annotation, b: Annotation) -> None:
    assert (a.image, a.caption, a.rejected) == (b.image, b.caption, b.rejected)
    assert dict(a.ungrounded) == dict(b.ungrounded)
    assert (a.tags.names, a.tags.kinds) == (b.tags.names, b.tags.kinds)
    assert_array_equal(a.tags.scores, b.tags.scores)
    one, two = a.detections, b.detections
    for x, y in ((one.xyxy, two.xyxy), (one.confidence, two.confidence)):
        assert x.dtype == y.dtype
        assert_array_equal(x, y)
    assert_array_equal(one.class_id, two.class_id)
    for key in one.data:
        assert_array_equal(one.data[key], two.data[key], err_msg=key)
    assert_array_equal(a.masks.to_dense(), b.masks.to_dense())


def test_an_annotation_comes_back_as_it_was() -> None:
    before = full()
    line = encode(before)
    after = decode(line, before.run)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert after.pixels is None
    same(before, after)
    assert encode(after) == line
    assert to_coco([after]) == to_coco([before])


@pytest.mark.parametrize("names", [(), ("grass",)])
def test_an_image_without_objects_comes_back(names: tuple[str, ...]) -> None:
    before = annotate(ungrounded=names)
    after = decode(encode(before))
    same(before, after)
    assert after.masks.shape == (0, 40, 60)
    assert after.detections.data["mask_score"].shape == (0,)


def test_scores_take_no_more_digits_than_they_need() -> None:
    value = json.loads(encode(full()))
    assert value["objects"][3]["scores"]["crop_score"] == 0.33333334
    assert value["objects"][1]["scores"]["crop_score"] is None
    assert value["tags"][0] == ["dog", 0.9, "object"]


def test_a_spool_is_read_as_often_as_needed_and_a_dataset_counts() -> None:
    spool = Spool(io.BytesIO())
    for annotation in (full(), annotate()):
        spool.add(annotation)
    dataset = Dataset.reading(spool.read)
    assert len(dataset) == len(list(dataset)) == len(list(dataset)) == 2
    assert dataset.kinds == {"bär": "object", "cat": "object", "dog": "object"}
    assert dataset.classes == ("bär", "cat", "dog")
    assert dataset.objects == {"bär": 1, "cat": 1, "dog": 2}
    assert [key_of(one.image) for one in dataset] == ["a/street.jpg", "street.jpg"]
    assert [one.run for one in dataset] == [annotate().run] * 2


def test_splits_have_their_usual_order() -> None:
    dataset = replace(Dataset.of([full()]), splits={"a/street.jpg": "test", "b": "val", "c": "x"})
    assert dataset.split_names == ("val", "test", "x")
    assert [dataset.split_of(one) for one in dataset] == ["test"]
    assert Dataset.of([full()]).split_of(full()) == "train"
