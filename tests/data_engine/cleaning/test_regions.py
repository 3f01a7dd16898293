from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import supervision as sv

from grounded_ram.annotation import Tags
from grounded_ram.crops import crop
from grounded_ram.data_engine.cleaning.regions import (
    AT_ONCE,
    PAINT,
    Region,
    Regions,
    Viewer,
    kept_form,
)
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.vocabulary.labelling import Words

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


class Remembers:
    """Embeds pictures by their mean colour, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[Image] = []

    def embed(self, images: Sequence[Image]) -> np.ndarray:
        self.seen += images
        return np.array([one.mean((0, 1)) for one in images]).reshape(-1, 3)


@pytest.fixture
def regions() -> Iterator[Regions]:
    with tempfile.TemporaryFile() as file:
        yield Regions(file)


def region(label: str, picture: str = "a.jpg") -> Region:
    return Region(picture, label, (0, 0, 1, 1), 0.9, 0.8)


def found(count: int, *, masks: bool = False) -> sv.Detections:
    boxes = np.tile(np.array([10, 10, 30, 20], np.float32), (count, 1)).reshape(-1, 4)
    dense = np.zeros((count, 40, 60), bool)
    dense[:, 12:18, 12:28] = True
    mask = sv.CompactMask.from_dense(dense, boxes, (40, 60)) if masks else None
    return sv.Detections(boxes, mask=mask, data={"class_name": np.array(["dog"] * count, str)})


def test_embeddings_come_back_in_order_as_directions_in_half_precision(regions: Regions) -> None:
    rows = np.random.default_rng(0).normal(0, 1e6, (5, 7))
    regions.add([region("a"), region("b")], rows[:2])
    regions.add([], rows[:0])
    assert regions.embeddings().shape == (2, 7)
    regions.add([region("a"), region("c"), region("a")], rows[2:])
    kept = regions.embeddings()
    assert kept.dtype == np.float16
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(kept, expected, atol=1e-3)
    rows_of = {label: of.tolist() for label, of in regions.by_label().items()}
    assert rows_of == {"a": [0, 2, 4], "b": [1], "c": [3]}


def test_without_regions_there_is_nothing(regions: Regions) -> None:
    assert len(regions) == 0
    assert len(regions.embeddings()) == 0
    assert regions.by_label() == {}


@pytest.mark.parametrize("wrong", [np.ones((1, 7)), np.ones((2, 8)), np.full((2, 7), np.inf)])
def test_embeddings_that_do_not_fit_are_refused(regions: Regions, wrong: np.ndarray) -> None:
    regions.add([region("a")], np.ones((1, 7)))
    with pytest.raises(InputError, match="expected 2 embeddings of 7 finite numbers"):
        regions.add([region("a"), region("b")], wrong)
    assert len(regions) == 1


def test_each_object_is_cropped_with_its_margin() -> None:
    embedder = Remembers()
    count = AT_ONCE + 1
    seen = Viewer(embedder, None, Words(), margin=0.25).embed(IMAGE, found(count, masks=True))
    assert seen.shape == (count, 3)
    assert len(embedder.seen) == count
    expected = crop(IMAGE, np.array([10.0, 10, 30, 20]), 0.25)
    for one in embedder.seen:
        np.testing.assert_array_equal(one, expected)


def test_other_pixels_are_painted_over_where_that_is_asked() -> None:
    embedder = Remembers()
    Viewer(embedder, None, Words(), margin=0.0, only_mask=True).embed(IMAGE, found(1, masks=True))
    (seen,) = embedder.seen
    expected = np.tile(PAINT, (10, 20, 1))
    expected[2:8, 2:18] = IMAGE[12:18, 12:28]
    np.testing.assert_array_equal(seen, expected)


def test_without_masks_the_whole_crop_is_seen() -> None:
    embedder = Remembers()
    Viewer(embedder, None, Words(), margin=0.0, only_mask=True).embed(IMAGE, found(1))
    np.testing.assert_array_equal(embedder.seen[0], IMAGE[10:20, 10:30])


def test_no_objects_give_no_rows() -> None:
    assert Viewer(Remembers(), None, Words(), margin=0.5).embed(IMAGE, found(0)).shape == (0, 3)


def test_the_tagger_is_asked_unless_it_was_asked_before_or_nobody_is() -> None:
    asked: list[int] = []

    def look(crops: list[Image]) -> list[Tags]:
        asked.append(len(crops))
        return [Tags(("dog",), np.array([0.7], np.float32), ("object",)) for _ in crops]

    viewer = Viewer(Remembers(), look, Words(), margin=0.5)
    np.testing.assert_allclose(viewer.alone(IMAGE, found(2)), [0.7, 0.7])
    assert asked == [2]
    known = found(2)
    known.data["crop_score"] = np.array([0.2, 0.3], np.float32)
    np.testing.assert_allclose(viewer.alone(IMAGE, known), [0.2, 0.3])
    assert asked == [2]
    assert np.isnan(Viewer(Remembers(), None, Words(), margin=0.5).alone(IMAGE, found(2))).all()


class Both(Remembers):
    """Sees and embeds; counts what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def embed(self, images: Sequence[Image]) -> np.ndarray:
        self.asked.append("embed")
        return super().embed(images)

    def look(self, images: list[Image]) -> list[Tags]:
        self.asked.append("look")
        return [Tags(("dog",), np.array([0.7], np.float32), ("object",)) for _ in images]

    def see(self, images: list[Image]) -> tuple[list[Tags], np.ndarray]:
        found = self.look(images), self.embed(images)
        self.asked[-2:] = ["see"]
        return found


@pytest.mark.parametrize("masks", [False, True])
def test_a_region_is_looked_at_once_where_one_look_is_enough(masks: bool) -> None:
    count = AT_ONCE + 1
    one, two = Both(), Both()
    once = Viewer(one, one.look, Words(), margin=0.5).see(IMAGE, found(count, masks=masks))
    twice = Viewer(two, lambda crops: two.look(crops), Words(), margin=0.5)
    assert set(one.asked) == {"see"}
    for seen, expected in zip(once, twice.see(IMAGE, found(count, masks=masks)), strict=True):
        np.testing.assert_array_equal(seen, expected)
    assert set(two.asked) == {"look", "embed"}


def test_what_is_painted_over_known_or_not_asked_for_is_not_looked_at_in_one_pass() -> None:
    painted = Both()
    viewer = Viewer(painted, painted.look, Words(), margin=0.5, only_mask=True)
    viewer.see(IMAGE, found(1, masks=True))
    assert painted.asked == ["look", "embed"]
    known, objects = Both(), found(1)
    objects.data["crop_score"] = np.array([0.2], np.float32)
    alone, _ = Viewer(known, known.look, Words(), margin=0.5).see(IMAGE, objects)
    assert (known.asked, alone.tolist()) == (["embed"], pytest.approx([0.2]))
    silent = Both()
    alone, _ = Viewer(silent, None, Words(), margin=0.5).see(IMAGE, found(1))
    assert silent.asked == ["embed"]
    assert np.isnan(alone).all()


def test_what_is_in_the_form_that_is_kept_stays_as_it_is(regions: Regions) -> None:
    kept = kept_form(np.random.default_rng(1).normal(size=(2, 7)))
    regions.add([region("a"), region("b")], kept)
    np.testing.assert_array_equal(regions.embeddings(), kept)
