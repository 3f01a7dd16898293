from __future__ import annotations

from dataclasses import replace

import numpy as np

from grounded_ram.annotation import Annotation, Reason, Tags, objects
from grounded_ram.data_engine.cleaning.removal import without
from grounded_ram.export.records import decode, encode
from grounded_ram.vocabulary.labelling import Words
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)


def street() -> Annotation:
    """Two cars and a dog; "vehicle" and "animal" are seen, and stand on the same objects."""
    car, dog = rectangle(SIZE, 2, 2, 20, 20), rectangle(SIZE, 5, 30, 30, 50)
    plain = annotate([("car", car), ("dog", dog), ("car", rectangle(SIZE, 25, 2, 39, 20))])
    tags = Tags(
        ("animal", "dog", "car", "vehicle", "red"),
        np.array([0.95, 0.9, 0.8, 0.7, 0.6], np.float32),
        ("object", "object", "object", "object", "attribute"),
    )
    ids = np.array([2, 1, 2])
    found = plain.detections
    found = replace(found, class_id=ids)
    found.data["alternatives"] = objects([(), (), ()])
    reasons = {
        "animal": Reason.SAME_OBJECT,
        "vehicle": Reason.SAME_OBJECT,
        "red": Reason.KIND,
    }
    return replace(plain, tags=tags, detections=found, ungrounded=reasons, pixels=None)


def test_what_goes_is_told_and_what_stays_is_as_it_was() -> None:
    before = street()
    after = without(before, {0: Reason.OUTLIER}, Words())
    assert after.detections.data["class_name"].tolist() == ["dog", "car"]
    np.testing.assert_array_equal(after.detections.xyxy, before.detections.xyxy[1:])
    np.testing.assert_array_equal(after.masks.to_dense(), before.masks.to_dense()[1:])
    (gone,) = after.rejected
    assert (gone.name, gone.reason) == ("car", Reason.OUTLIER)
    assert gone.box_xyxy == (2, 2, 20, 20)
    assert after.tags.names == before.tags.names
    assert after.ungrounded == before.ungrounded


def test_a_tag_goes_with_the_last_of_its_objects() -> None:
    after = without(street(), {1: Reason.CONTRADICTED}, Words())
    assert after.tags.names == ("animal", "car", "vehicle", "red")
    names = [after.tags.names[row] for row in after.detections.class_id]
    assert names == ["car", "car"] == after.detections.data["class_name"].tolist()
    assert after.ungrounded["animal"] is Reason.NO_BOX_LEFT
    assert after.ungrounded["vehicle"] is Reason.SAME_OBJECT
    assert after.ungrounded["red"] is Reason.KIND


def test_a_tag_that_another_object_is_also_known_by_stays_grounded() -> None:
    before = street()
    before.detections.data["alternatives"] = objects([(("animal", 0.4),), (), ()])
    after = without(before, {1: Reason.OUTLIER}, Words())
    assert after.ungrounded["animal"] is Reason.SAME_OBJECT


def test_nothing_gone_is_the_same_annotation() -> None:
    before = street()
    assert without(before, {}, Words()) is before


def test_everything_may_go_and_the_record_comes_back() -> None:
    after = without(street(), dict.fromkeys(range(3), Reason.OUTLIER), Words())
    assert len(after.detections) == 0
    assert after.tags.names == ("animal", "vehicle", "red")
    assert after.masks.shape == (0, *SIZE)
    scores = [one.box_score for one in after.rejected]
    assert scores == sorted(scores, reverse=True)
    again = decode(encode(after), after.run)
    assert [one.reason for one in again.rejected] == [Reason.OUTLIER] * 3
