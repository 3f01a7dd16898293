"""A truth drawn by hand, from a COCO file: crowds and objects without masks are kept as such."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pycocotools import mask as coco_mask

from grounded_ram.errors import InputError

Rle: TypeAlias = dict[str, Any]
"""COCO's compressed run lengths, ``counts`` as bytes, as pycocotools takes them."""

_PARTS = ("images", "annotations", "categories")


@dataclass(frozen=True, eq=False)
class CocoObject:
    """One object.

    Args:
        name: of its category.
        bbox_xywh: left, top, width and height in pixels.
        mask: None where only a box was drawn.
        crowd: whether it stands for many objects that nobody told apart.
    """

    name: str
    bbox_xywh: tuple[float, float, float, float]
    mask: Rle | None
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class TruePicture:
    """One picture and its objects.

    Args:
        size_hw: height and width in pixels; None where the file does not say them.
        objects: in the order of the file.
    """

    size_hw: tuple[int, int] | None
    objects: list[CocoObject]


@dataclass(frozen=True, eq=False)
class Truth:
    """A COCO dataset.

    Args:
        pictures: by ``file_name``.
        names: of the categories, each once.
    """

    pictures: Mapping[str, TruePicture]
    names: tuple[str, ...]

    @property
    def has_masks(self) -> bool:
        """Whether every object that is no crowd has a mask."""
        every = (one for picture in self.pictures.values() for one in picture.objects)
        return all(one.mask is not None or one.crowd for one in every)


def read_truth(path: Path) -> Truth:
    """Read a COCO file of objects.

    Masks may be polygons or run lengths, packed or not. Ids may be numbers or texts.

    Raises:
        InputError: the file cannot be read, or is no such file; the message says what was expected
            and what came.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: expected a COCO file in JSON: {error}") from error
    try:
        return _coco(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _coco(found: Any) -> Truth:
    if not isinstance(found, dict):
        raise InputError(f"expected a COCO file, an object with {_listed(_PARTS)}; got {_a(found)}")
    for part in _PARTS:
        if not isinstance(found.get(part), list):
            came = f"{part!r} is {_a(found[part])}" if part in found else f"{_listed(found)} only"
            raise InputError(
                f"expected a COCO file with the lists {_listed(_PARTS)}; got {came}. Files of "
                "bare results or without annotations say nothing about what is true"
            )
        wrong = [item for item in found[part] if not isinstance(item, dict)]
        if wrong:
            raise InputError(f"{part}: expected objects in braces, got {_a(wrong[0])}")
    names = {key: _name(item) for key, item in _by_id(found["categories"], "categories").items()}
    pictures, by_id = _pictures(found["images"])
    _by_id([item for item in found["annotations"] if "id" in item], "annotations")
    for number, item in enumerate(found["annotations"]):
        try:
            picture = by_id[_reference(item, "image_id", by_id, "images")]
            name = names[_reference(item, "category_id", names, "categories")]
            picture.objects.append(_object(item, name, picture.size_hw))
        except InputError as error:
            which = f"id {item['id']!r}" if "id" in item else f"number {number + 1}"
            raise InputError(f"annotation {which}: {error}") from error
    return Truth(pictures, tuple(dict.fromkeys(names.values())))


def _pictures(items: Sequence[dict[str, Any]]) -> tuple[dict[str, TruePicture], dict[Any, Any]]:
    """Return the pictures by name, and by id."""
    pictures: dict[str, TruePicture] = {}
    by_id = _by_id(items, "images")
    for key, item in by_id.items():
        name = item.get("file_name")
        if not isinstance(name, str) or not name:
            raise InputError(f"image id {key!r}: expected a file_name, got {name!r}")
        if name in pictures:
            raise InputError(f"images: file_name {name!r} comes twice")
        sides = item.get("height"), item.get("width")
        known = all(isinstance(side, int) and side > 0 for side in sides)
        size_hw = (int(sides[0] or 0), int(sides[1] or 0)) if known else None
        pictures[name] = TruePicture(size_hw, [])
    return pictures, dict(zip(by_id, pictures.values(), strict=True))


def _by_id(items: Iterable[dict[str, Any]], part: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for item in items:
        key = item.get("id")
        if not isinstance(key, int | str):
            raise InputError(f"{part}: expected an id, a number or a text, got {key!r}")
        if key in found:
            raise InputError(f"{part}: id {key!r} comes twice; every id may come once")
        found[key] = item
    return found


def _reference(item: dict[str, Any], key: str, known: Mapping[Any, Any], part: str) -> Any:
    value = item.get(key)
    if isinstance(value, int | str) and value in known:
        return value
    first = next(iter(known), None)
    example = "there are none" if first is None else f"such as {first!r}"
    raise InputError(f"{key}: expected the id of one of the {part} ({example}), got {value!r}")


def _name(item: dict[str, Any]) -> str:
    name = item.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"category id {item['id']!r}: expected a name, got {name!r}")
    return name.strip()


def _object(item: dict[str, Any], name: str, size_hw: tuple[int, int] | None) -> CocoObject:
    mask = _mask(item.get("segmentation"), size_hw)
    box = item.get("bbox")
    if box is None and mask is not None:
        box = coco_mask.toBbox(mask).tolist()
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise InputError(f"bbox: expected [left, top, width, height] in pixels, got {box!r}")
    if min(box[2:]) < 0:
        raise InputError(f"bbox: expected a width and a height from 0, got {box!r}")
    x, y, width, height = map(float, box)
    return CocoObject(name, (x, y, width, height), mask, bool(item.get("iscrowd")))


def _mask(value: Any, size_hw: tuple[int, int] | None) -> Rle | None:
    """Return a segmentation as run lengths; None where there is none."""
    if value is None or value == []:
        return None
    if isinstance(value, list):
        return _from_polygons(value, size_hw)
    if not isinstance(value, dict) or set(value) < {"size", "counts"}:
        raise InputError(
            f"segmentation: expected polygons, or run lengths with size and counts; got {_a(value)}"
        )
    if size_hw is not None and value["size"] != list(size_hw):
        raise InputError(
            f"segmentation: its size is {value['size']}, but the picture's {list(size_hw)}"
        )
    counts = value["counts"]
    if isinstance(counts, str):
        return {"size": value["size"], "counts": counts.encode()}
    if not isinstance(counts, list) or sum(counts) != value["size"][0] * value["size"][1]:
        raise InputError("segmentation: expected run lengths that make up the whole picture")
    packed: Rle = coco_mask.frPyObjects(value, *value["size"])
    return packed


def _from_polygons(value: list[Any], size_hw: tuple[int, int] | None) -> Rle:
    if size_hw is None:
        raise InputError("segmentation: polygons need the image's height and width, got none")
    for polygon in value:
        sound = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not sound or not all(map(_is_number, polygon)):
            raise InputError(
                "segmentation: expected polygons as [x1, y1, x2, y2, x3, y3, ...], "
                f"got {str(polygon)[:60]}"
            )
    merged: Rle = coco_mask.merge(coco_mask.frPyObjects(value, *size_hw))
    return merged


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _a(value: Any) -> str:
    """Say what a JSON value is."""
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return kinds.get(type(value), f"{value!r}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
