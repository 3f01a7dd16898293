"""COCO files of instances, of whatever origin, as datasets."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pycocotools import mask as coco_mask

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.found import (
    Found,
    Rle,
    assemble,
    box_rle,
    digest,
    facts,
    polygons_rle,
)
from grounded_ram.export.pages import BOXES, Reading

Item: TypeAlias = Mapping[str, Any]
"""An object of a COCO file, or an image, or a category."""


def read_coco(file: str | Path, images: str | Path | None = None) -> Reading:
    """Read a COCO file of instances.

    The file's JSON is held in memory as a whole; masks are made one image at a time, each time
    that the dataset is iterated.

    Shapes may be polygons or run lengths of either kind; an object that has none gets its box for a
    mask. Crowds are left out: what they show is no single object. Kinds are the categories'
    ``supercategory``. Scores are those that our own files have, or ``score``; 1 where there is
    none.

    Args:
        file: holds ``images``, ``annotations`` and ``categories``.
        images: the folder that ``file_name`` starts from; None means the file's own. The pictures
            need not be there, unless the new format takes them along.

    Raises:
        InputError: it cannot be read, or does not hold what it should; the message says where.
            Also while iterating.
    """
    source = _Coco(Path(file), Path(file).parent if images is None else Path(images))
    return Reading(source.dataset(), source.notes())


class _Coco:
    """A COCO file in memory."""

    def __init__(self, file: Path, images: Path) -> None:
        self._file = file
        self._folder = images
        data = self._load()
        self._images = self._list(data, "images", {"id", "file_name"})
        categories = self._list(data, "categories", {"id", "name"})
        self._categories = {item["id"]: item for item in categories}
        found = self._list(data, "annotations", {"image_id", "category_id"})
        self._crowds = sum(bool(item.get("iscrowd")) for item in found)
        self._found: dict[Any, list[Item]] = defaultdict(list)
        for item in found:
            if not item.get("iscrowd"):
                self._found[item["image_id"]].append(item)
        self._digests: dict[Any, str] = {}
        self._check()

    def notes(self) -> tuple[str, ...]:
        """Say what could not be taken over as it was."""
        boxes = sum(not item.get("segmentation") for row in self._found.values() for item in row)
        told = [f"{boxes} {BOXES}"] if boxes else []
        if self._crowds:
            told.append(f"{self._crowds} crowds (iscrowd 1) were left out")
        return tuple(told)

    def dataset(self) -> Dataset:
        """Return the annotations, to be made as they are iterated."""
        used = [
            self._categories[item["category_id"]] for row in self._found.values() for item in row
        ]
        objects = Counter(str(category["name"]) for category in used)
        kinds = {str(category["name"]): _kind(category) for category in reversed(used)}
        names = sorted(objects)
        return Dataset(
            self._read,
            len(self._images),
            {name: kinds[name] for name in names},
            {name: objects[name] for name in names},
        )

    def _read(self) -> Iterator[Annotation]:
        for image in self._images:
            about = self._facts(image)
            items = self._found.get(image["id"], [])
            yield assemble(about, [self._object(item, about.size_hw) for item in items])

    def _load(self) -> Any:
        try:
            return json.loads(self._file.read_bytes())
        except OSError as error:
            raise InputError(f"cannot read {str(self._file)!r}: {error.strerror}") from error
        except ValueError as error:
            raise self._wrong(f"expected JSON as COCO has it; {error}") from error

    def _list(self, data: Any, key: str, needed: set[str]) -> list[Item]:
        items = data.get(key) if isinstance(data, dict) else None
        if not isinstance(items, list):
            raise self._wrong(f"expected a list {key!r}, got {type(items).__name__}")
        for place, item in enumerate(items):
            if not isinstance(item, dict) or not needed <= set(item):
                raise self._wrong(
                    f"{key}[{place}]: expected {', '.join(sorted(needed))}; got {str(item)[:200]}"
                )
        return items

    def _check(self) -> None:
        """Make sure that every reference leads somewhere."""
        if lost := set(self._found) - {image["id"] for image in self._images}:
            raise self._wrong(f"an annotation belongs to image {min(lost, key=str)!r}, not listed")
        for item in (item for row in self._found.values() for item in row):
            if item["category_id"] not in self._categories:
                raise self._wrong(
                    f"{_call(item)} has category_id {item['category_id']!r}; "
                    f"known: {', '.join(map(str, self._categories))}"
                )

    def _facts(self, image: Item) -> ImageFacts:
        name = str(image["file_name"]).replace("\\", "/").removeprefix("./")
        height, width = image.get("height"), image.get("width")
        if not isinstance(height, int) or not isinstance(width, int):
            raise self._wrong(
                f"image {name!r}: expected height and width in pixels, got {height!r} and {width!r}"
            )
        path = self._folder / name
        if image["id"] not in self._digests:  # a picture is read for it once
            self._digests[image["id"]] = str(image.get("sha256") or digest(path))
        try:
            return facts(path, name, (height, width), self._digests[image["id"]])
        except InputError as error:
            raise self._wrong(f"image {image['id']!r}: {error}") from error

    def _object(self, item: Item, size_hw: tuple[int, int]) -> Found:
        category = self._categories[item["category_id"]]
        try:
            box = None if item.get("bbox") is None else _xyxy(item)
            return Found(str(category["name"]), _to_rle(item, size_hw), _kind(category), box, item)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise self._wrong(f"the shape of {_call(item)} cannot be read: {error}") from error

    def _wrong(self, what: str) -> InputError:
        return InputError(f"{str(self._file)!r}: {what}")


def _kind(category: Item) -> str:
    return str(category.get("supercategory") or "object")


def _call(item: Item) -> str:
    return f"annotation {item.get('id')!r} of image {item['image_id']!r}"


def _xyxy(item: Item) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, item["bbox"])
    return x, y, x + width, y + height


def _to_rle(item: Item, size_hw: tuple[int, int]) -> Rle:
    """Return an object's mask.

    Raises:
        ValueError: what the file says is no mask of this size.
    """
    height, width = size_hw
    shape = item.get("segmentation")
    if not shape:
        return box_rle(_xyxy(item), size_hw)
    if isinstance(shape, list):
        return polygons_rle(shape, size_hw)
    if list(shape["size"]) != [height, width]:
        raise ValueError(f"its size is {shape['size']}, the image's {[height, width]}")
    counts = shape["counts"]
    if isinstance(counts, str):
        return {"size": [height, width], "counts": counts.encode()}
    if sum(counts) != height * width:
        raise ValueError(f"its counts are {sum(counts)} pixels, not {height * width}")
    rle: Rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return rle
