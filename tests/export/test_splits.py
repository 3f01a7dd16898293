from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.splits import (
    by_folder,
    by_prefix,
    count_splits,
    parse_shares,
    split,
)
from tests.hand_annotation import annotate

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
DOT = np.ones((1, 1), bool)


def image(key: str, classes: Iterable[str] = (), content: str = "") -> Annotation:
    one = annotate([(name, DOT) for name in classes], size_hw=(1, 1))
    digest = sha256((content or key).encode()).hexdigest()
    return replace(one, image=replace(one.image, file_name=key, sha256=digest))


def sizes(found: dict[str, str]) -> dict[str, int]:
    return dict(Counter(found.values()))


def zoo(count: int, seed: int = 0) -> list[Annotation]:
    """Images of which half show a cat, a fifth a dog, a twentieth a newt; often several."""
    dice = random.Random(seed)
    odds = {"cat": 0.5, "dog": 0.2, "newt": 0.05}
    return [
        image(f"{i:04d}.jpg", [name for name, odd in odds.items() if dice.random() < odd])
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80,10,10", {"train": 0.8, "val": 0.1, "test": 0.1}),
        ("80, 20", {"train": 0.8, "val": 0.2}),
        ("0.7,0.2,0.1", {"train": 0.7, "val": 0.2, "test": 0.1}),
        ("train=80,val=20", {"train": 0.8, "val": 0.2}),
        ("test = 12.5, train = 87.5", {"test": 0.125, "train": 0.875}),
        ("train=1", {"train": 1.0}),
        ("90,10,0", {"train": 0.9, "val": 0.1, "test": 0.0}),
    ],
)
def test_shares_are_read(text: str, expected: dict[str, float]) -> None:
    found = parse_shares(text)
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "train=80,val=20"),
        ("80", "train=80,val=20"),
        ("50,20,20,10", "train=80,val=20"),
        ("train=80,20", "train=80,val=20"),
        ("train=80,train=20", "train=80,val=20"),
        ("train=most,val=rest", "train=80,val=20"),
        ("80,10", "add up to 100.*90"),
        ("80,10,10.5", "add up to 100.*100.5"),
        ("a/b=80,val=20", "'a/b'"),
        ("110,-10", "from 0 to 1"),
        ("nan,20", "add up to 100"),
    ],
)
def test_shares_that_cannot_be_read_say_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_shares(text)


def test_shares_must_add_up() -> None:
    with pytest.raises(InputError, match=r"add up to 1, got 0\.9"):
        split(Dataset.of([]), {"train": 0.8, "val": 0.1})


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 57, 200])
def test_splits_have_their_sizes(count: int) -> None:
    found = sizes(split(Dataset.of(zoo(count)), SHARES))
    for name, share in SHARES.items():
        assert abs(found.get(name, 0) - share * count) < 1
    assert sum(found.values()) == count


def test_every_class_has_its_share_of_every_split() -> None:
    images = zoo(400)
    dataset = Dataset.of(images)
    counts = count_splits(replace(dataset, splits=split(dataset, SHARES)))
    assert list(counts) == ["train", "val", "test"]
    for name, total in dataset.objects.items():
        for part, share in SHARES.items():
            assert abs(counts[part].objects[name] - share * total) <= 1.5, (part, name)
    assert {name: one.images for name, one in counts.items()} == {
        "train": 320,
        "val": 40,
        "test": 40,
    }


def test_counts_tell_what_is_missing() -> None:
    dataset = Dataset.of([image("a", ["cat", "cat"]), image("b", ["dog"])])
    counts = count_splits(replace(dataset, splits={"a": "train", "b": "val"}))
    assert counts["train"].objects == {"cat": 2, "dog": 0}
    assert counts["val"].objects == {"cat": 0, "dog": 1}
    assert counts["val"].images == 1
    assert list(count_splits(dataset)) == ["train"]


@given(st.integers(0, 50), st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(seed: int, dice: random.Random) -> None:
    images = [*zoo(60, seed), image("copy.jpg", ["dog"], content="0001.jpg")]
    shares = {"train": 0.5, "val": 0.5}
    first = split(Dataset.of(images), shares, seed=seed, group=lambda key: key[:-5])
    dice.shuffle(images)
    assert split(Dataset.of(images), shares, seed=seed, group=lambda key: key[:-5]) == first
    assert list(first) == sorted(first)


def test_another_seed_is_another_split() -> None:
    dataset = Dataset.of(zoo(100))
    assert split(dataset, SHARES, seed=1) == split(dataset, SHARES, seed=1)
    assert split(dataset, SHARES, seed=1) != split(dataset, SHARES, seed=2)


def test_images_of_one_content_stay_together() -> None:
    images = [image(f"{i}.jpg", ["cat"], content=str(i % 20)) for i in range(100)]
    found = split(Dataset.of(images), SHARES)
    assert all(found[f"{i}.jpg"] == found[f"{i % 20}.jpg"] for i in range(100))
    assert sizes(found) == {"train": 80, "val": 10, "test": 10}


@pytest.mark.parametrize("seed", range(6))
def test_groups_stay_together_and_copies_join_them(seed: int) -> None:
    images = [image(f"{i % 10}/{i}.jpg", ["cat"]) for i in range(100)]
    images.append(image("copy.jpg", content="0/0.jpg"))
    images.append(image("copy of copy.jpg", content="0/0.jpg"))
    images.append(image("10/x.jpg", content="9/9.jpg"))
    images.append(image("10/y.jpg"))
    shares = {"train": 0.5, "val": 0.5}
    found = split(Dataset.of(images), shares, seed=seed, group=by_folder)
    groups = [[f"{i % 10}/{i}.jpg" for i in range(first, 100, 10)] for first in range(10)]
    groups[0] += ["copy.jpg", "copy of copy.jpg"]
    groups[9] += ["10/x.jpg", "10/y.jpg"]
    assert all(len({found[key] for key in group}) == 1 for group in groups)
    assert len(found) == 104
    assert set(found.values()) == {"train", "val"}


def test_large_groups_find_a_place_because_they_come_first() -> None:
    images = [image(f"{i}.jpg", ["cat"]) for i in range(40)]
    images += [image(f"z_{i}.jpg", ["cat"]) for i in range(10)]
    found = split(Dataset.of(images), {"train": 0.8, "val": 0.2}, group=by_prefix("_"))
    assert sizes(found) == {"train": 40, "val": 10}


def test_classes_keep_their_shares_when_groups_are_dealt() -> None:
    dice = random.Random(5)
    images = []
    for video in range(60):
        classes = [name for name in ("cat", "dog") if dice.random() < 0.5]
        images += [image(f"{video:02d}_{i}.jpg", classes) for i in range(dice.randrange(1, 8))]
    dataset = Dataset.of(images)
    found = split(dataset, SHARES, group=by_prefix("_"))
    assert len({(key[:2], name) for key, name in found.items()}) == 60
    counts = count_splits(replace(dataset, splits=found))
    for part, share in SHARES.items():
        assert counts[part].images == pytest.approx(share * len(images), abs=4)
        for name, total in dataset.objects.items():
            assert counts[part].objects[name] == pytest.approx(share * total, abs=5)


@pytest.mark.parametrize("shares", [SHARES, {"val": 0.5, "test": 0.3, "train": 0.2}])
@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_in_train_as_long_as_there_is_room(
    shares: dict[str, float], seed: int
) -> None:
    images = [*zoo(60), image("once.jpg", ["axolotl"]), *(image(f"t{i}", ["yak"]) for i in "12")]
    dataset = Dataset.of(images)
    counts = count_splits(replace(dataset, splits=split(dataset, shares, seed=seed)))
    assert counts["train"].objects["axolotl"] == 1
    assert counts["train"].objects["yak"] >= 1


def test_when_every_image_is_rare_the_sizes_are_kept() -> None:
    dataset = Dataset.of([image(f"{i}.jpg", [f"class {i}"]) for i in range(50)])
    assert sizes(split(dataset, SHARES)) == {"train": 40, "val": 5, "test": 5}


def test_a_share_of_nothing_gets_nothing() -> None:
    found = split(Dataset.of(zoo(31)), {"train": 0.9, "val": 0.1, "test": 0.0})
    assert sizes(found) == {"train": 28, "val": 3}


@pytest.mark.parametrize(
    ("key", "folder", "prefix"),
    [
        ("day/clip_1_0001.jpg", "day", "day/clip_1"),
        ("clip_1.jpg", "", "clip"),
        ("a_b/one.jpg", "a_b", "a_b/one.jpg"),
        ("a/b/c.jpg", "a/b", "a/b/c.jpg"),
    ],
)
def test_what_groups_are_called(key: str, folder: str, prefix: str) -> None:
    assert by_folder(key) == folder
    assert by_prefix("_")(key) == prefix


def test_memory_is_a_few_hundred_bytes_an_image() -> None:
    count = 3000
    one = image("x.jpg", ["cat", "dog", "newt"])

    def read() -> Iterable[Annotation]:
        for i in range(count):
            facts = replace(one.image, file_name=f"folder/{i:06d}.jpg", sha256=f"{i:064x}")
            yield replace(one, image=facts)

    dataset = Dataset.reading(read)
    tracemalloc.start()
    try:
        assert len(split(dataset, SHARES)) == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / count < 800


def test_the_result_is_that_of_the_paper_worked_out_by_hand() -> None:
    """Two newts first, then the cats: each to the split that still lacks most of that class."""

    def deal(seed: int) -> Sequence[Counter[str]]:
        images = [image(f"n{i}", ["newt", "cat"]) for i in range(2)]
        images += [image(f"c{i}", ["cat"]) for i in range(6)] + [image(f"e{i}") for i in range(2)]
        found = split(Dataset.of(images), {"train": 0.5, "val": 0.5}, seed=seed)
        return [
            Counter(key[0] for key, name in found.items() if name == part)
            for part in ("train", "val")
        ]

    for seed in range(6):
        assert deal(seed) == [{"n": 1, "c": 3, "e": 1}] * 2


def test_images_that_were_dealt_stay_and_take_their_kin_along() -> None:
    images = zoo(200)
    before = split(Dataset.of(images[:100]), SHARES, seed=1)
    more = [*images, image("copy.jpg", content="0000.jpg")]
    after = split(Dataset.of(more), SHARES, seed=1, keep=before)
    assert {key: after[key] for key in before} == before
    assert after["copy.jpg"] == before["0000.jpg"]
    assert sizes(after) == pytest.approx({"train": 161, "val": 20, "test": 20}, abs=1)
    backwards = split(Dataset.of(more[::-1]), SHARES, seed=1, keep=before)
    assert backwards == after
    assert split(Dataset.of(images), SHARES, seed=1, keep={}) == split(
        Dataset.of(images), SHARES, seed=1
    )


def test_a_split_that_is_no_more_keeps_nothing() -> None:
    keep = {"0000.jpg": "holdout", "0001.jpg": "val"}
    found = split(Dataset.of(zoo(20)), {"train": 0.5, "val": 0.5}, keep=keep)
    assert found["0001.jpg"] == "val"
    assert set(found.values()) == {"train", "val"}
