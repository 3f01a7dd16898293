"""Training, validation and test: which image goes where.

Images that belong together stay together: those of the same content always, and those that the
caller calls one group, such as a folder or a video. Groups are dealt out so that every class keeps
its share in every split: iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the
Stratification of Multi-label Data", 2011), with groups in place of single examples.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset, key_of

USUAL = ("train", "val", "test")
"""The names of splits whose shares are given as bare numbers."""


def parse_shares(text: str) -> dict[str, float]:
    """Read the shares of splits, such as "80,10,10" or "train=80,val=20"; they may add up to 1 too.

    Bare numbers are those of train, val and test.

    Returns:
        The share of each split, in [0, 1], in the order given.

    Raises:
        InputError: they cannot be read, or add up to something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if "=" not in text and len(parts) in (2, 3):
        parts = [f"{name}={part}" for name, part in zip(USUAL, parts, strict=False)]
    shares: dict[str, float] = {}
    for part in parts:
        name, found, number = (piece.strip() for piece in part.partition("="))
        if not found or name in shares:
            raise _unreadable(text)
        try:
            shares[name] = float(number)
        except ValueError as error:
            raise _unreadable(text) from error
    total = math.fsum(shares.values())
    if math.isclose(total, 100, abs_tol=1e-6):
        shares = {name: share / 100 for name, share in shares.items()}
    elif not math.isclose(total, 1, abs_tol=1e-6):
        raise InputError(f"splits: expected shares that add up to 100, got {text!r}: {total:g}")
    return _checked(shares)


def split(
    dataset: Dataset,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    group: Callable[[str], str] | None = None,
    keep: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Deal the images of a dataset out to splits.

    The result depends on the images, the shares and the seed, and not on the images' order. A split
    is filled up to its share as far as the sizes of groups allow. A class that few groups have goes
    into ``train`` first, as long as there is room.

    Args:
        dataset: read once; what is kept of an image is its name, its digest and its classes.
        shares: the share of each split, adding up to 1; see ``parse_shares``.
        seed: another one gives another split that is as good.
        group: what an image's group is called, by the image's ``key_of``; see ``by_folder`` and
            ``by_prefix``. None: only images of the same content belong together.
        keep: the split of images that were dealt earlier and stay where they are, with those that
            belong to them.

    Returns:
        The split of each image by its ``key_of``, sorted: ``Dataset.splits``.

    Raises:
        InputError: the shares cannot be used.
    """
    wanted = _checked(shares)
    found = _Deal(_gather(dataset, group), wanted, seed).run(keep or {})
    return dict(sorted((key, name) for one, name in found for key in one.keys))


def by_folder(key: str) -> str:
    """Return the folder that an image is in: all images of one folder are one group."""
    return key.rpartition("/")[0]


def by_prefix(separator: str) -> Callable[[str], str]:
    """Group images by what their names begin with, as frames of a video do.

    Args:
        separator: the group's name ends before the last one in the file's name; with "_", both
            "day/clip_1_0001.jpg" and "day/clip_1_0002.jpg" are of "day/clip_1". An image without
            one is a group by itself.
    """

    def group(key: str) -> str:
        folder, slash, name = key.rpartition("/")
        prefix, found, _ = name.rpartition(separator)
        return f"{folder}{slash}{prefix}" if found else key

    return group


@dataclass(frozen=True)
class SplitCounts:
    """What is in a split.

    Args:
        images: how many there are.
        objects: how many objects of each class of the dataset, 0 included, classes sorted.
    """

    images: int
    objects: Mapping[str, int]


def count_splits(dataset: Dataset) -> dict[str, SplitCounts]:
    """Count the images and objects of each split; what is too rare to be everywhere shows as 0."""
    names = dataset.split_names or ("train",)
    images = Counter[str]()
    objects: dict[str, Counter[str]] = {name: Counter() for name in names}
    for annotation in dataset:
        name = dataset.split_of(annotation)
        images[name] += 1
        objects[name].update(np.asarray(annotation.detections.data["class_name"]).tolist())
    return {
        name: SplitCounts(images[name], {one: objects[name][one] for one in dataset.classes})
        for name in names
    }


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """Images that stay together.

    Args:
        keys: their names, sorted.
        classes: those of each image, one image after the other.
    """

    keys: list[str]
    classes: list[str]


def _gather(dataset: Dataset, group: Callable[[str], str] | None) -> list[_Group]:
    """Return the images in groups, each as large as what they share makes it."""
    known: dict[str, str] = {}  # one string for each class, however many images have it
    images = sorted(
        (
            key_of(annotation.image),
            bytes.fromhex(annotation.image.sha256),
            tuple(known.setdefault(name, name) for name in _classes(annotation)),
        )
        for annotation in dataset
    )
    groups: dict[int, _Group] = {}
    shared = ((digest, group(key)) if group else (digest,) for key, digest, _ in images)
    for head, (key, _, classes) in zip(_heads(shared), images, strict=True):
        found = groups.setdefault(head, _Group([], []))
        found.keys.append(key)
        found.classes.extend(classes)
    return list(groups.values())


def _heads(shared: Iterable[Sequence[str | bytes]]) -> list[int]:
    """Return for each image the first of those that it has to stay with.

    Args:
        shared: what each image may have in common with others; one such thing is enough.
    """
    firsts: dict[str | bytes, int] = {}
    heads: list[int] = []

    def head(place: int) -> int:
        while heads[place] != place:
            heads[place] = heads[heads[place]]
            place = heads[place]
        return place

    for place, things in enumerate(shared):
        heads.append(place)
        for thing in things:
            one, other = head(place), head(firsts.setdefault(thing, place))
            heads[max(one, other)] = min(one, other)
    return [head(place) for place in range(len(heads))]


def _classes(annotation: Annotation) -> list[str]:
    return sorted(set(np.asarray(annotation.detections.data["class_name"]).tolist()))


class _Deal:
    """Deals groups out, those of the rarest class first, each to the split that lacks it most."""

    def __init__(self, groups: Sequence[_Group], shares: Mapping[str, float], seed: int) -> None:
        self._groups = groups
        self._seed = seed
        images = sum(len(one.keys) for one in groups)
        self._room = {name: share * images for name, share in shares.items()}
        """How many images each split may still take."""
        self._left = Counter(name for one in groups for name in set(one.classes))
        """How many groups that are not dealt yet have each class."""
        have = Counter(name for one in groups for name in one.classes)
        self._lack = {
            split: {name: share * count for name, count in have.items()}
            for split, share in shares.items()
        }
        """How many images with each class each split should still get."""
        self._in_train: set[str] = set()

    def run(self, keep: Mapping[str, str]) -> Iterator[tuple[_Group, str]]:
        """Return every group with its split."""
        dealt: set[int] = set()
        for one in self._groups:
            kept = next((keep[key] for key in one.keys if keep.get(key) in self._room), None)
            if kept is not None:
                dealt.add(id(one))
                self._note(one, kept)
                yield one, kept
        owners: dict[str, list[_Group]] = {name: [] for name in self._left}
        for one in self._groups:
            for name in set(one.classes):
                owners[name].append(one)
        while owners:
            rarest = min(owners, key=lambda name: (self._left[name], name))
            for one in sorted(owners.pop(rarest), key=lambda one: self._turn(one, rarest)):
                if id(one) not in dealt:
                    dealt.add(id(one))
                    yield one, self._give(one, rarest)
        empty = (one for one in self._groups if not one.classes and id(one) not in dealt)
        for one in sorted(empty, key=self._turn):
            yield one, self._give(one, None)

    def _turn(self, one: _Group, name: str | None = None) -> tuple[int, int, bytes]:
        """Return what groups are sorted by: large ones first, equal ones by lot."""
        return -one.classes.count(name or ""), -len(one.keys), self._lot(one.keys[0])

    def _give(self, one: _Group, rarest: str | None) -> str:
        """Choose the split of a group, and take note of it."""
        size = len(one.keys)
        best = max(self._room.values())
        free = [s for s, room in self._room.items() if room > min(size, best) - _NOISE]
        last = any(self._left[n] == 1 and n not in self._in_train for n in set(one.classes))
        if last and "train" in free:
            split = "train"
        else:
            split = max(free, key=lambda split: self._rank(split, one, rarest))
        self._note(one, split)
        return split

    def _note(self, one: _Group, split: str) -> None:
        """Take note of where a group is."""
        self._room[split] -= len(one.keys)
        for name, count in Counter(one.classes).items():
            self._left[name] -= 1
            self._lack[split][name] -= count
        if split == "train":
            self._in_train.update(one.classes)

    def _rank(self, split: str, one: _Group, rarest: str | None) -> tuple[float, float, bytes]:
        lack = self._lack[split][rarest] if rarest is not None else 0
        # Rounded, so that what is equal is equal however it was added up.
        return round(lack, 6), round(self._room[split], 6), self._lot(f"{split} {one.keys[0]}")

    def _lot(self, text: str) -> bytes:
        return sha256(f"{self._seed} {text}".encode()).digest()[:8]


_NOISE = 1e-6
"""What adding up shares may make of equal numbers of images."""


def _checked(shares: Mapping[str, float]) -> dict[str, float]:
    if wrong := [name for name in shares if not re.fullmatch(r"\w+", name)]:
        raise InputError(
            f"splits: expected names of letters, digits and underscores, got {wrong[0]!r}"
        )
    if wrong := [name for name, share in shares.items() if not 0 <= share <= 1]:
        raise InputError(f"splits: expected shares from 0 to 1, got {shares[wrong[0]]:g}")
    total = math.fsum(shares.values())
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise InputError(f"splits: expected shares that add up to 1, got {total:g}")
    return dict(shares)


def _unreadable(text: str) -> InputError:
    return InputError(
        f'splits: expected shares such as "80,10,10" or "train=80,val=20", got {text!r}'
    )
