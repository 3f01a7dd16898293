from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from grounded_ram.annotation import Tags
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.generating import Generator
from grounded_ram.images import Image
from grounded_ram.vocabulary.table import official_vocabulary
from tests.data_engine.word_parser import WordParser


class Sees:
    """Sees by a picture's first pixel, and says what it was told that is there."""

    def __init__(self, *scores: dict[str, float], text: str = "a {}") -> None:
        self.scores = scores
        self.text = text
        self.batches: list[int] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        self.batches.append(len(images))
        found = []
        for image in images:
            scores = self.scores[int(image[0, 0, 0])]
            kept = {name: one for name, one in scores.items() if one > (threshold or 0.5)}
            values = np.array([*kept.values()], np.float32)
            found.append(Tags(tuple(kept), values, ("object",) * len(kept)))
        return found

    def caption(self, images: Sequence[Image], *, tags: Sequence[Tags] | None = None) -> list[str]:
        assert tags is not None
        return [self.text.format(" and a ".join(one.names)) for one in tags]


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        PIL.Image.fromarray(np.full((8, 9 + number, 3), number, np.uint8)).save(path)
    return paths


def test_what_a_tagger_sees_comes_after_what_was_told_and_nothing_is_lost(
    pictures: list[str],
) -> None:
    caption = Caption("a dog", ("dog",))
    examples = [
        Example(pictures[0], ("dog", "wug"), (caption,)),
        Example(pictures[1], ()),
        Example(pictures[2], ("cat",)),
    ]
    tagger = Sees({"car": 0.9, "dog": 0.8, "tree": 0.3}, {"tree": 0.6}, {})
    found = list(Generator(tagger=tagger).add(examples))
    assert [one.image for one in found] == pictures
    assert [one.tags for one in found] == [("dog", "wug", "car"), ("tree",), ("cat",)]
    assert [one.captions for one in found] == [(caption,), (), ()]


def test_a_threshold_takes_the_place_of_the_taggers_own(pictures: list[str]) -> None:
    tagger = Sees({"car": 0.9, "tree": 0.3})
    (found,) = Generator(tagger=tagger, threshold=0.2).add([Example(pictures[0], ())])
    assert found.tags == ("car", "tree")


def test_only_names_to_keep_are_added_and_others_that_were_there_stay(pictures: list[str]) -> None:
    tagger = Sees({"car": 0.9, "tree": 0.8})
    (found,) = Generator(tagger=tagger, keep=["car"]).add([Example(pictures[0], ("wug",))])
    assert found.tags == ("wug", "car")


def test_captions_are_written_of_what_is_seen_and_give_tags_under_their_usual_names(
    pictures: list[str],
) -> None:
    tagger = Sees({"dog": 0.9}, text="a {} by an automobile and a wug")
    generator = Generator(
        tagger=tagger,
        captioner=tagger,
        parser=WordParser(),
        keep=("dog", "car"),
        vocabulary=official_vocabulary(),
    )
    (found,) = generator.add([Example(pictures[0], (), (Caption("old"),))])
    assert found.captions == (
        Caption("old"),
        Caption("a dog by an automobile and a wug", ("dog", "car")),
    )
    assert found.tags == ("dog", "car")


def test_captions_without_a_parser_or_without_words_give_no_tags(pictures: list[str]) -> None:
    tagger = Sees({"dog": 0.9}, text="a {}")
    (found,) = Generator(tagger=tagger, captioner=tagger).add([Example(pictures[0], ())])
    assert found.captions == (Caption("a dog"),)
    empty = Sees({"dog": 0.9}, text="")
    (found,) = Generator(tagger=empty, captioner=empty).add([Example(pictures[0], ())])
    assert (found.tags, found.captions) == (("dog",), ())


def test_what_cannot_be_read_is_given_as_it_was_and_told(
    pictures: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = Example(str(tmp_path / "broken.png"), ("dog",))
    gone = Example(str(tmp_path / "gone.png"), ("cat",))
    tagger = Sees({}, {"car": 0.9})
    told: list[str] = []
    examples = [broken, Example(pictures[1], ()), gone]
    found = list(Generator(tagger=tagger).add(examples, lambda path, why: told.append(path)))
    assert found == [broken, Example(pictures[1], ("car",)), gone]
    assert told == [broken.image, gone.image]
    assert list(Generator(tagger=tagger, captioner=tagger).add([broken])) == [broken]
    assert tagger.batches == [1]


def test_examples_are_read_as_they_are_needed(pictures: list[str]) -> None:
    read: list[int] = []

    def rows() -> object:
        for number in range(100):
            read.append(number)
            yield Example(pictures[0], ())

    tagger = Sees({"car": 0.9})
    next(Generator(tagger=tagger).add(rows()))
    assert len(read) == tagger.batches[0] == 16
    assert list(Generator(tagger=tagger).add([])) == []
