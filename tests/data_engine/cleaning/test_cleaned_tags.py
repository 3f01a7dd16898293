from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv

from grounded_ram.annotation import Reason, Tags
from grounded_ram.data_engine.cleaning.cleaned_tags import (
    NO_PLACE,
    UNREAD,
    CleanedTags,
    Unfound,
    clean_tags,
)
from grounded_ram.data_engine.cleaning.looking import has_place
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from tests.truth_stages import detections

SMALL, LARGE = (0.0, 0.0, 10.0, 10.0), (5.0, 5.0, 55.0, 35.0)


class StopError(Exception):
    pass


class BySize:
    def embed(self, images: Sequence[Image]) -> np.ndarray:
        rows = [(1.0, 0.0) if one.shape[0] < 20 else (0.0, 1.0) for one in images]
        return np.array(rows).reshape(-1, 2)


class Sees:
    """Tagger and detector of small dogs and cats; knows how sure it is.

    The first pixel of a picture that is 1 makes its dog large, 2 adds a small one to that.
    """

    def __init__(self, **alone: float) -> None:
        self.alone = {"dog": 0.9, "cat": 0.9, **alone}
        self.asked: list[tuple[str, ...]] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        scores = {"dog": 0.8, "cat": 0.8} if threshold is None else self.alone
        values = np.array([*scores.values()], np.float32)
        return [Tags(tuple(scores), values, ("object",) * len(scores)) for _ in images]

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        found = []
        for image, wanted in zip(images, tags, strict=True):
            self.asked.append(wanted.names)
            mark = int(image[0, 0, 0])
            boxes = {1: [LARGE], 2: [LARGE, SMALL]}.get(mark, [SMALL])
            rows = [
                (wanted, name, 0.9, box)
                for name in wanted.names
                if name in self.alone
                for box in boxes
            ]
            found.append(detections(rows))
        return found

    def segment(self, images: Any, detections: Any) -> Any:
        raise AssertionError("no masks are needed")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Twelve pictures; the dog in the last one is large."""
    paths = []
    for number in range(12):
        pixels = np.full((40, 60, 3), 1 if number == 11 else 99, np.uint8)
        paths.append(str(tmp_path / f"{number}.png"))
        PIL.Image.fromarray(pixels).save(paths[-1])
    return paths


def clean(examples: Sequence[Example], sees: Sees, **options: Any) -> CleanedTags:
    model = GroundedRAM("tiny", tagger=sees, detector=sees, segmenter=sees, device="cpu")
    settings = options.pop("settings", Cleaning())
    return clean_tags(examples, model, settings, embedder=BySize(), **options)


def test_the_tag_of_a_region_unlike_the_others_goes(pictures: list[str]) -> None:
    caption = Caption("a red dog", ("red", "dog"))
    examples = [Example(path, ("dog", "red"), (caption,)) for path in pictures]
    told: list[int] = []
    done = clean(examples, Sees(), on_done=told.append)
    assert [one.tags for one in done.examples] == [("dog", "red")] * 11 + [("red",)]
    (gone,) = done.removed
    assert (gone.image, gone.tag, gone.reason) == (pictures[11], "dog", Reason.OUTLIER)
    assert gone.box_xyxy == LARGE
    assert done.examples[10].captions == (caption,)
    assert done.examples[11].captions == (Caption("a red dog", ("red",)),)
    assert told == [8, 12]


def test_a_tag_stays_as_long_as_one_of_its_regions_does(pictures: list[str]) -> None:
    PIL.Image.fromarray(np.full((40, 60, 3), 2, np.uint8)).save(pictures[11])
    done = clean([Example(path, ("dog",)) for path in pictures], Sees())
    assert [one.tags for one in done.examples] == [("dog",)] * 12
    assert done.removed == ()


def test_the_detector_is_asked_for_the_tags_of_each_picture_that_have_a_place(
    pictures: list[str],
) -> None:
    sees = Sees()
    examples = [
        Example(pictures[0], ("dog", "beach", "run", "red")),
        Example(pictures[1], ("kitchen",)),
        Example(pictures[2], ("cat", "dog")),
        Example(pictures[3], ()),
    ]
    done = clean(examples, sees)
    assert sees.asked == [("dog",), ("cat", "dog")]
    assert list(done.examples) == examples
    assert done.untouched == {NO_PLACE: 4}


def test_a_tag_that_the_tagger_sees_in_the_picture_and_not_alone_goes(pictures: list[str]) -> None:
    examples = [Example(path, ("dog", "cat")) for path in pictures[:2]]
    settings = Cleaning(share=0.0, most_contradicted=1.0)
    done = clean(examples, Sees(cat=0.1), settings=settings)
    assert [one.tags for one in done.examples] == [("dog",)] * 2
    assert [(one.tag, one.reason) for one in done.removed] == [("cat", Reason.CONTRADICTED)] * 2
    assert done.removed[0].alone == pytest.approx(0.1)


def test_a_tag_without_a_region_stays_or_goes_as_asked(pictures: list[str]) -> None:
    examples = [Example(pictures[0], ("dog", "violin"))]
    kept = clean(examples, Sees())
    assert list(kept.examples) == examples
    assert kept.untouched == {str(Reason.NO_BOX): 1}
    gone = clean(examples, Sees(), unfound="remove")
    assert gone.examples[0].tags == ("dog",)
    assert [(one.tag, one.reason) for one in gone.removed] == [("violin", Reason.NO_BOX)]
    assert gone.removed[0].box_xyxy is None


def test_what_neither_detector_nor_tagger_sees_goes_if_the_tagger_knows_it(
    pictures: list[str],
) -> None:
    class Looks(Sees):
        """Knows red, blue, a violin and a harp, sees no blue and no harp; finds neither thing."""

        def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
            scores = {"dog": 0.9, "red": 0.9, "violin": 0.9}
            if threshold is not None:
                scores |= {"blue": 0.1, "harp": 0.1}
            values = np.array([*scores.values()], np.float32)
            return [Tags(tuple(scores), values, ("object",) * len(scores)) for _ in images]

    examples = [
        Example(pictures[0], ("dog", "violin", "harp", "tuba", "red", "blue", "wooden")),
        Example(pictures[1], ("blue",)),  # nothing to find a region of
    ]
    done = clean(examples, Looks(), unfound="unseen")
    assert done.examples[0].tags == ("dog", "violin", "tuba", "red", "wooden")
    assert done.examples[1].tags == ()
    assert [(one.tag, one.reason) for one in done.removed] == [
        ("harp", Reason.UNSEEN),
        ("blue", Reason.UNSEEN),
        ("blue", Reason.UNSEEN),
    ]
    assert done.untouched == {str(Reason.NO_BOX): 2, NO_PLACE: 2}


def test_what_a_region_is_a_kind_of_counts_as_found(pictures: list[str]) -> None:
    examples = [Example(pictures[0], ("dog", "animal"))]
    done = clean(examples, Sees(), unfound="remove")
    assert list(done.examples) == examples
    assert done.untouched == {str(Reason.SAME_OBJECT): 1}


def test_what_cannot_be_read_keeps_its_tags_and_is_told(pictures: list[str]) -> None:
    Path(pictures[1]).write_bytes(b"no picture")
    gone = str(Path(pictures[0]).with_name("gone.png"))
    examples = [
        Example(pictures[1], ("dog", "red")),
        Example(pictures[0], ("dog", "violin")),
        Example(gone, ("violin",)),
        Example(gone, ("red",)),
    ]
    told: list[str] = []
    done = clean(examples, Sees(), unfound="remove", on_bad=lambda path, why: told.append(path))
    assert told == [pictures[1], gone]  # what has no tag with a place need not be read
    assert [one.tags for one in done.examples] == [("dog", "red"), ("dog",), ("violin",), ("red",)]
    assert done.untouched == {UNREAD: 3, NO_PLACE: 1}


def test_no_examples_are_no_failure() -> None:
    done = clean([], Sees())
    assert (done.examples, done.removed, done.untouched) == ((), (), {})


@pytest.mark.parametrize(
    ("tag", "has"),
    [
        ("dog", True),
        ("red", False),
        ("run", False),
        ("beach", False),
        ("wug", True),
        ("wind", False),
    ],
)
def test_a_region_can_show_things_and_what_nobody_judged(tag: str, has: bool) -> None:
    assert has_place(tag) is has


def test_the_tiny_preset_cleans_with_nothing_but_itself(pictures: list[str]) -> None:
    model = GroundedRAM("tiny", device="cpu")
    done = clean_tags([Example(pictures[0], ("car", "red"))], model)
    assert done.examples[0].tags == ("car", "red")


@pytest.mark.parametrize("unfound", ["keep", "unseen", "remove"])
@pytest.mark.parametrize("stop", [8, 16])
def test_what_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    pictures: list[str], tmp_path: Path, unfound: Unfound, stop: int
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    examples = [
        *(Example(path, ("dog", "cat", "violin", "blue")) for path in pictures[:8]),
        *(Example(path, ("dog", "blue")) for path in (*pictures[8:], str(broken))),
        Example(pictures[0], ("blue",)),
    ]
    settings = Cleaning(most_contradicted=1.0)
    whole = clean(examples, Sees(cat=0.1, blue=0.1), unfound=unfound, settings=settings)
    reasons = {"keep": set(), "unseen": {Reason.UNSEEN}, "remove": {Reason.NO_BOX}}[unfound]
    found = {one.reason for one in whole.removed}
    assert found == {Reason.OUTLIER, Reason.CONTRADICTED, *reasons}

    def kill(done: int) -> None:
        if done >= stop or done == len(examples):
            raise StopError

    folder = tmp_path / "seen"
    with pytest.raises(StopError):
        clean(
            examples,
            Sees(cat=0.1, blue=0.1),
            unfound=unfound,
            settings=settings,
            keep_in=folder,
            on_done=kill,
        )
    sees, done, bad = Sees(cat=0.1, blue=0.1), list[int](), list[str]()
    again = clean(
        examples,
        sees,
        unfound=unfound,
        settings=settings,
        keep_in=folder,
        on_done=done.append,
        on_bad=lambda path, why: bad.append(path),
    )
    assert repr(again) == repr(whole)  # NaN is not NaN
    assert (again.examples, again.untouched) == (whole.examples, whole.untouched)
    assert len(sees.asked) == (12 - 8 if stop == 8 else 0)
    assert done == [14]
    assert bad == [str(broken)]


def test_what_was_seen_with_other_tags_or_a_wider_crop_is_not_used(
    pictures: list[str], tmp_path: Path
) -> None:
    clean([Example(path, ("dog",)) for path in pictures], Sees(), keep_in=tmp_path / "seen")
    for examples, settings in (
        ([Example(path, ("dog", "cat")) for path in pictures], Cleaning()),
        ([Example(path, ("dog",)) for path in pictures], Cleaning(margin=0.2)),
        ([Example(path, ("dog",)) for path in pictures], Cleaning(contradictions=False)),
    ):
        sees = Sees()
        clean(examples, sees, keep_in=tmp_path / "seen", settings=settings)
        assert len(sees.asked) == 12
    sees = Sees()
    clean(examples, sees, keep_in=tmp_path / "seen", settings=Cleaning(contradictions=False))
    assert sees.asked == []


def test_the_encoder_looks_at_each_region_once(pictures: list[str]) -> None:
    model = GroundedRAM("tiny", detector=Sees(), segmenter=Sees(), device="cpu")
    passes: list[int] = []
    tagger: Any = model.tagger
    tagger.network.visual_encoder.register_forward_hook(lambda *a: passes.append(1))
    clean_tags([Example(pictures[0], ("dog",))], model)
    assert len(passes) == 3  # what the tagger knows, the picture, its region
