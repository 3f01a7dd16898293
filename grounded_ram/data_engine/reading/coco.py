"""COCO files of objects and of captions, merged by the pictures that they are about.

Read for their names alone, an item at a time: boxes and shapes are dropped, so that the large file
of a year of COCO needs no more memory than the names and captions in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.labels.json_items import JsonItems
from grounded_ram.data_engine.reading.rows import (
    NO_UTF8,
    NOTHING,
    BadRow,
    Pictures,
    Row,
    captions_of,
    check_readable,
    first_line_no_utf8,
    tags_of,
)
from grounded_ram.errors import InputError

_LISTS = ("images", "annotations", "categories")
_SMALL = 1 << 20  # bytes of a file that lists no image


@dataclass
class _Told:
    """What is told about a picture so far, and what it is if that is nothing."""

    bare: BadRow
    tags: dict[str, None] = field(default_factory=dict)
    captions: dict[str, None] = field(default_factory=dict)


class CocoFiles:
    """COCO files about one set of pictures, of instances or captions or both.

    Args:
        paths: at least one.
        root: the folder that ``file_name`` begins at; None: each file's own.

    Raises:
        InputError: one cannot be read.
    """

    def __init__(self, paths: Sequence[Path], root: Path | None = None) -> None:
        for path in paths:
            check_readable(path)
        self._paths = paths
        self._root = root
        self.about = f"COCO: {', '.join(path.name for path in paths)}"

    def rows(self) -> Iterator[Row]:
        """Give an example for each picture, in the order in which they are first listed.

        An object's name is a tag, of crowds too. Where objects are listed at all, a picture without
        any shows none of them; where there are but captions, one without is left out.

        Raises:
            InputError: a file is no COCO file.
        """
        told: dict[str, _Told] = {}
        for path in self._paths:
            pictures = Pictures(path.parent if self._root is None else self._root)
            yield from _Coco(path).tell(pictures, told)
        listed = any(one.tags for one in told.values())
        for image, one in told.items():
            if listed or one.captions:
                yield Example(image, tuple(one.tags), tuple(map(Caption, one.captions)))
            else:
                yield one.bare


class _Coco:
    """One COCO file, whose lists may come in any order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[tuple[int, Any, Any]] = []  # place, id, name
        self._categories: dict[Any, Any] = {}
        self._tags: dict[Any, dict[Any, int]] = {}  # of an image: category -> annotation
        self._captions: dict[Any, list[tuple[int, Any]]] = {}
        self._bad: list[BadRow] = []
        self._load()

    def tell(self, pictures: Pictures, told: dict[str, _Told]) -> Iterator[BadRow]:
        """Add what the file tells about each picture; yield what cannot be used."""
        yield from self._bad
        for place, key, name in self._images:
            tags, captions = self._tags.pop(key, {}), self._captions.pop(key, [])
            try:
                if not isinstance(name, str):
                    raise InputError(f"expected text under 'file_name': got {str(name)[:60]!r}")
                image = pictures.find(name)
            except InputError as error:
                yield self._bad_row("image", place, str(error))
                continue
            one = told.setdefault(image, _Told(self._bad_row("image", place, NOTHING)))
            yield from self._add_tags(one, tags)
            yield from self._add_captions(one, captions)
        first = {key: next(iter(found.values())) for key, found in self._tags.items()}
        first |= {key: found[0][0] for key, found in self._captions.items()}
        for key, place in first.items():
            yield self._bad_row("annotation", place, f"its image is not listed: {key!r}")

    def _add_tags(self, one: _Told, found: dict[Any, int]) -> Iterator[BadRow]:
        for category, place in found.items():
            try:
                one.tags.update(dict.fromkeys(tags_of([self._name(category)], "name")))
            except InputError as error:
                yield self._bad_row("annotation", place, str(error))

    def _name(self, category: Any) -> Any:
        if category not in self._categories:
            raise InputError(f"its category is not listed: {category!r}")
        return self._categories[category]

    def _add_captions(self, one: _Told, found: list[tuple[int, Any]]) -> Iterator[BadRow]:
        for place, text in found:
            try:
                captions = captions_of(text, "caption")
            except InputError as error:
                yield self._bad_row("annotation", place, str(error))
            else:
                one.captions.update(dict.fromkeys(caption.text for caption in captions))

    def _load(self) -> None:
        counts: dict[str, int] = dict.fromkeys(_LISTS, 0)
        try:
            with self._path.open(encoding="utf-8-sig") as file:
                for key, item in JsonItems(file):
                    if key in counts:
                        self._take(key, counts[key], item)
                        counts[key] += 1
        except UnicodeDecodeError as error:
            line = first_line_no_utf8(self._path)
            raise self._wrong(f"line {line} has {NO_UTF8}") from error
        except (OSError, ValueError, RecursionError) as error:
            what = f"it is damaged: {error}" if self._path.stat().st_size else "it is empty"
            raise self._wrong(what) from error
        if not counts["images"] and not self._is_empty():
            raise self._wrong('it has no list of "images"')

    def _is_empty(self) -> bool:
        """Tell whether the list of images is there, if with nothing in it."""
        if self._path.stat().st_size > _SMALL:
            return False
        found = json.loads(self._path.read_text(encoding="utf-8-sig"))
        return isinstance(found, dict) and isinstance(found.get("images"), list)

    def _take(self, key: str, place: int, item: Any) -> None:
        """Keep what an item says."""
        try:
            if key == "images":
                hash(item["id"])
                self._images.append((place, item["id"], item["file_name"]))
            elif key == "categories":
                self._categories[item["id"]] = item["name"]
            elif "caption" in item:
                self._captions.setdefault(item["image_id"], []).append((place, item["caption"]))
            else:
                self._tags.setdefault(item["image_id"], {}).setdefault(item["category_id"], place)
        except (KeyError, TypeError) as error:
            what = {"images": "image", "categories": "category"}.get(key, "annotation")
            fault = f"lacks {error}" if isinstance(error, KeyError) else f"of a wrong type: {error}"
            self._bad.append(self._bad_row(what, place, fault))

    def _bad_row(self, what: str, place: int, reason: str) -> BadRow:
        row = f"{what} {place}"
        return BadRow(f"{self._path.name}, {row}", reason, str(self._path), row)

    def _wrong(self, what: str) -> InputError:
        return InputError(
            f'expected a COCO file with "images" and "annotations", got {str(self._path)!r}: '
            f"{what}; objects that stand one a line go in a file that ends in .jsonl"
        )
