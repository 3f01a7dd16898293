"""A dataset built by hand: pictures in files, every shape that is hard, names that are odd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation
from grounded_ram.export.dataset import Dataset, key_of
from tests.hand_annotation import annotate, rectangle, ring

Mask = NDArray[np.bool_]

SIZE = (64, 96)
ODD = "Ünï & <b> \"q\", 's' 猫"
SHAPES: dict[str, Mask] = {
    "block": rectangle(SIZE, 10, 20, 30, 50),
    "two parts": rectangle(SIZE, 2, 2, 12, 12) | rectangle(SIZE, 40, 60, 60, 90),
    "ring": ring(SIZE, (32, 48), 8, 20),
    "two holes": rectangle(SIZE, 0, 0, 20, 60)
    & ~rectangle(SIZE, 4, 4, 9, 9)
    & ~rectangle(SIZE, 11, 30, 15, 50),
    "one pixel": rectangle(SIZE, 63, 95, 64, 96),
    "line": rectangle(SIZE, 5, 0, 6, 96),
    "diagonal": np.eye(*SIZE, dtype=bool),
    "closed by a corner": rectangle(SIZE, 10, 10, 20, 20)
    & ~rectangle(SIZE, 12, 12, 18, 18)
    & ~rectangle(SIZE, 10, 10, 11, 11)
    & ~rectangle(SIZE, 11, 11, 12, 12),
    "noise": np.random.default_rng(5).random(SIZE) < 0.6,
    "everything": np.ones(SIZE, bool),
}
"""Masks by what is hard about them."""

OBJECTS: dict[str, list[tuple[str, Mask]]] = {
    "a": [("car", SHAPES["block"]), (ODD, SHAPES["ring"]), ("car", SHAPES["two parts"])],
    "day 1/Ünï & <b>, 's' 猫": [(name, mask) for name, mask in SHAPES.items()],
    "day 1/empty": [],
    "day 2/a": [("ghost", np.zeros((50, 30), bool)), ("car", rectangle((50, 30), 3, 4, 20, 9))],
}
"""The objects of each picture, by its key without ending; the ghost has an empty mask."""

SPLITS = dict(zip(OBJECTS, ("train", "val", "train", "test"), strict=True))


def write_dataset(
    folder: Path, *, ending: str = ".png", splits: bool = True, flat: bool = False
) -> Dataset:
    """Write the pictures into a folder and return their annotations.

    Args:
        folder: where they go.
        ending: ".png" or ".jpg".
        splits: with three splits.
        flat: without sub-folders.
    """
    keys = {key: (key.replace("/", "-") if flat else key) + ending for key in OBJECTS}
    annotations = [
        _annotate(objects, folder, keys[key], seed)
        for seed, (key, objects) in enumerate(OBJECTS.items())
    ]
    dataset = Dataset.of(annotations)
    told = {keys[key]: split for key, split in SPLITS.items()}
    return replace(dataset, splits=told) if splits else dataset


def _annotate(objects: list[Any], folder: Path, key: str, seed: int) -> Annotation:
    path = folder / key
    annotation = annotate(objects, path=str(path), seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(annotation.pixels).save(path)
    return replace(annotation, image=replace(annotation.image, file_name=key))


def truth(dataset: Dataset) -> dict[str, list[tuple[str, Mask]]]:
    """Return the name and the mask of each object of each picture, those with no pixel aside."""
    return {
        key_of(annotation.image): [
            (str(name), mask)
            for name, mask in zip(
                annotation.detections.data["class_name"], annotation.masks, strict=True
            )
            if mask.any()
        ]
        for annotation in dataset
    }


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())
