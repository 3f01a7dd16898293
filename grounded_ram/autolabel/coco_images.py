"""The images that a COCO file lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from grounded_ram.autolabel.items import NAME_TAKEN, Item, Naming, Skipped, is_utf8, straight
from grounded_ram.autolabel.urls import fault_of_url
from grounded_ram.errors import InputError

_URLS = ("coco_url", "flickr_url")


class _Annotation(NamedTuple):
    image_id: Any


class _Image(NamedTuple):
    id: Any
    file_name: str
    url: str  # empty if it has none


class CocoImages:
    """The images of a COCO file, on the disk or at the addresses that it has for them.

    Args:
        path: the file, absolute.
        root: folder that its file names begin at, absolute.

    Raises:
        InputError: it is no COCO file, or none of its images can be had.
    """

    is_listed = True

    def __init__(self, path: Path, root: Path) -> None:
        self.base = str(root)
        self.labelled_names: set[str] = set()
        """Of the items given so far, those that have annotations in the file."""
        self.path = path
        self._root = root
        self._images, self._annotated = _read(path)
        if not any(image and (image.url or self._locate(image)) for image in self._images):
            raise InputError(
                f"of the {len(self._images)} images that {str(path)!r} lists, none lies in "
                f"{str(root)!r}, and none has an address; say where "
                "they are with --images-root (images_root)"
            )

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Give the images in the order of the file."""
        for place, image in enumerate(self._images):
            where = f"{self.path.name}, image {place}"
            if image is None:
                yield Skipped(where, "it lacks a file_name or an id")
                continue
            found = self._item(image, where, naming)
            if isinstance(found, Item) and image.id in self._annotated:
                self.labelled_names.add(found.name)
            yield found

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "coco", "path": str(self.path), "images_root": self.base}

    def _item(self, image: _Image, where: str, naming: Naming) -> Item | Skipped:
        path = self._locate(image)
        if path is None and not image.url:
            return Skipped(where, f"there is no file: {image.file_name!r}")
        if path is None and (fault := fault_of_url(image.url)):
            return Skipped(where, fault)
        name = naming.of(str(self._intended(image)))
        if not naming.take(name):
            return Skipped(name, NAME_TAKEN)
        return Item(name, str(path)) if path else Item(name, str(naming.keep_in / name), image.url)

    def _locate(self, image: _Image) -> Path | None:
        """Return where an image lies; None where it does not."""
        try:
            path = self._intended(image)
            return path if path.is_file() else None
        except (OSError, ValueError):  # too long, or with NUL
            return None

    def _intended(self, image: _Image) -> Path:
        return straight(self._root / image.file_name)


def _read(path: Path) -> tuple[list[_Image | None], set[Any]]:
    """Return the images of a COCO file, None for a damaged one, and the ids of annotated ones.

    All else, polygons above all, is dropped while the file is read.
    """
    try:
        content = json.loads(path.read_bytes(), object_hook=_essence)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {str(path)!r} as COCO: {error}") from error
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise InputError(
            f'expected a COCO file with "images", got {str(path)!r}; '
            f"a list of paths or addresses, one a line, is given as '@{path.name}'"
        )
    annotations = content.get("annotations")
    annotated = {one.image_id for one in annotations or () if isinstance(one, _Annotation)}
    return [image if isinstance(image, _Image) else None for image in images], annotated


def _essence(value: dict[str, Any]) -> Any:
    """Reduce an image or an annotation to what is used here."""
    if isinstance(value.get("image_id"), (int, str)):
        return _Annotation(value["image_id"])
    name = value.get("file_name")
    if isinstance(name, str) and name and is_utf8(name) and isinstance(value.get("id"), (int, str)):
        url = next((value[key] for key in _URLS if value.get(key)), "")
        return _Image(value["id"], name.replace("\\", "/"), url if isinstance(url, str) else "")
    return value
