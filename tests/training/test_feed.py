from dataclasses import replace
from pathlib import Path

import pytest
import torch

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.errors import InputError
from grounded_ram.images import load_image
from grounded_ram.tagging.ram import prepare
from grounded_ram.training.feed import ExampleBatch, Feed, Reading
from tests.training.small import coloured_pictures

NAMES = ("red", "green", "blue")
READING = Reading(image_size=32)


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    return coloured_pictures(tmp_path / "pictures", 7)


def same(a: ExampleBatch, b: ExampleBatch) -> bool:
    return (
        torch.equal(a.images, b.images)
        and torch.equal(a.tags, b.tags)
        and (a.captions, a.caption_tags) == (b.captions, b.caption_tags)
    )


def test_a_step_does_not_depend_on_what_was_asked_before_or_on_workers(
    examples: list[Example],
) -> None:
    alone = Feed(examples, NAMES, READING, batch=3, seed=1)
    steps = [alone.batch(step) for step in range(4)]
    for workers in (0, 2):
        later = Feed(examples, NAMES, replace(READING, workers=workers), batch=3, seed=1)
        assert same(later.batch(2), steps[2])
        assert same(later.batch(3), steps[3])
    assert same(alone.batch(1), steps[1])


def test_the_global_generator_is_left_alone(examples: list[Example]) -> None:
    feed = Feed(examples, NAMES, READING, batch=3, seed=1)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    feed.batch(0)
    assert torch.equal(torch.rand(2), expected)


def test_every_example_comes_once_before_one_comes_again(examples: list[Example]) -> None:
    plain = Reading(image_size=32, least_crop=1, flip=False, brighten=0)
    feeds = [Feed(examples, NAMES, plain, batch=2, seed=3, rank=rank, count=2) for rank in range(2)]
    seen = torch.cat([feed.batch(step).images for step in range(7) for feed in feeds])
    whole = torch.stack([prepare(load_image(one.image).pixels, 32) for one in examples])
    for epoch in seen.split(7)[:4]:
        found = (epoch[:, None] == whole[None]).flatten(2).all(2)
        assert found.sum(0).tolist() == [1] * 7
    assert not torch.equal(seen[:7], seen[7:14])


def test_targets_are_the_tags_that_are_learnt(tmp_path: Path) -> None:
    (one,) = coloured_pictures(tmp_path, 1)
    shown = replace(one, tags=("blue", "unheard of", "red"))
    batch = Feed([shown], NAMES, READING, batch=1, seed=0).batch(0)
    assert batch.tags.tolist() == [[1, 0, 1]]


def test_caption_tags_come_in_changing_order_and_belong_to_the_caption(tmp_path: Path) -> None:
    (one,) = coloured_pictures(tmp_path, 1)
    told = {"ab": ("red", "green", "odd"), "c": ("blue",)}
    captions = tuple(Caption(text, tags) for text, tags in told.items())
    feed = Feed([replace(one, captions=captions)], NAMES, READING, batch=1, seed=0)
    seen = {(b.captions[0], b.caption_tags[0]) for b in map(feed.batch, range(40))}
    assert seen == {("ab", ("red", "green")), ("ab", ("green", "red")), ("c", ("blue",))}


def test_what_cannot_be_read_is_told_and_left_out(examples: list[Example], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    bad: dict[str, str] = {}
    rows = [*examples[:2], Example(str(broken), ("red",)), Example(str(tmp_path / "gone"), ())]
    feed = Feed(rows, NAMES, READING, batch=4, seed=0, on_bad=bad.__setitem__)
    assert len(feed.batch(0)) == 2
    assert set(bad) == {str(broken), str(tmp_path / "gone")}
    nothing = Feed(rows[2:], NAMES, READING, batch=2, seed=0).batch(0)
    assert nothing.images.shape == (0, 3, 32, 32)
    assert nothing.tags.shape == (0, 3)
    assert nothing.split(4) == []


def test_pictures_are_changed_by_chance_and_anew_each_time(examples: list[Example]) -> None:
    feed = Feed(examples[:1], NAMES, READING, batch=1, seed=0)
    seen = [feed.batch(step).images for step in range(4)]
    assert all(image.shape == (1, 3, 32, 32) for image in seen)
    assert not any(torch.equal(seen[0], other) for other in seen[1:])


def test_parts_of_a_batch_put_together_are_the_batch(examples: list[Example]) -> None:
    batch = Feed(examples, NAMES, READING, batch=7, seed=0).batch(0)
    parts = batch.split(3)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert sum((part.captions for part in parts), ()) == batch.captions


def test_no_examples_are_refused() -> None:
    with pytest.raises(InputError, match="pictures to learn from"):
        Feed([], NAMES, READING, batch=1, seed=0)
