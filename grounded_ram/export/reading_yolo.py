"""YOLO datasets, segments or boxes, as ultralytics lays them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from grounded_ram.annotation import ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export.found import Found, box_rle, facts, polygons_rle, upright_size
from grounded_ram.export.pages import BOXES, Notes, Reading, read_pages

ENDINGS = frozenset(
    {".bmp", ".dng", ".heic", ".jpeg", ".jpg", ".mpo", ".pfm", ".png", ".tif", ".tiff", ".webp"}
)
"""How the files end that are pictures."""


@dataclass(frozen=True)
class _Picture:
    """A picture's file, its key, and the split it is in."""

    path: Path
    key: str
    split: str


def read_yolo(description: Path) -> Reading:
    """Read the dataset that a data.yaml describes.

    A line of five numbers is a box, which becomes the object's mask; one of seven or more is a
    polygon, whose pixels are those inside of it. A picture without a file of labels has no objects.
    Keys are paths in the folder of the split; where two splits have the same one, the name of the
    split comes first.

    Raises:
        InputError: a file cannot be read, or does not hold what it should; the message says where.
    """
    value = _load(description)
    names = _names(value, description)
    pictures = _unlike(list(_pictures(value, description)))
    splits = {picture.key: picture.split for picture in pictures}

    def read_page(picture: _Picture, notes: Notes) -> tuple[ImageFacts, list[Found]]:
        return _read_page(picture, names, notes)

    return read_pages(pictures, read_page, splits if len(set(splits.values())) > 1 else None)


def _load(description: Path) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(description.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {str(description)!r}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{str(description)!r}: expected YAML; {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("names"), (list, dict)):
        raise InputError(f"{str(description)!r}: expected names and the folders of splits")
    return value


def _names(value: Mapping[str, Any], description: Path) -> dict[int, str]:
    names = value["names"]
    numbered = names.items() if isinstance(names, dict) else enumerate(names)
    try:
        return {int(number): str(name) for number, name in numbered}
    except ValueError as error:
        raise InputError(f"{str(description)!r}: names: expected numbers from 0") from error


def _pictures(value: Mapping[str, Any], description: Path) -> Iterator[_Picture]:
    """Find the pictures of all splits, each once, sorted by path in a split."""
    home = description.parent / str(value.get("path") or "")
    if not home.is_dir():  # such paths are often those of another machine
        home = description.parent
    seen: set[Path] = set()
    for split in ("train", "val", "test"):
        told = value.get(split) or []
        for name in [told] if isinstance(told, str) else told:
            folder = home / name
            if not folder.is_dir():
                raise InputError(
                    f"{str(description)!r}: {split}: expected a folder of pictures, got {name!r}"
                )
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in ENDINGS and path not in seen:
                    seen.add(path)
                    yield _Picture(path, path.relative_to(folder).as_posix(), split)


def _unlike(pictures: list[_Picture]) -> list[_Picture]:
    count = Counter(one.key for one in pictures)
    return [
        one if count[one.key] == 1 else _Picture(one.path, f"{one.split}/{one.key}", one.split)
        for one in pictures
    ]


def _read_page(
    picture: _Picture, names: Mapping[int, str], notes: Notes
) -> tuple[ImageFacts, list[Found]]:
    try:
        size_hw, _ = upright_size(picture.path)
    except OSError as error:
        raise InputError(f"cannot read the picture {str(picture.path)!r}: {error}") from error
    labels = _labels_of(picture.path)
    lines = labels.read_text("utf-8-sig").splitlines() if labels.is_file() else []
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_object(line.split(), names, size_hw, notes))
            except (ValueError, KeyError) as error:
                raise InputError(
                    f"{str(labels)!r}, line {number}: expected a class of data.yaml and four "
                    f"numbers or a polygon, got {line[:80]!r}"
                ) from error
    return facts(picture.path, picture.key, size_hw), found


def _object(
    line: list[str], names: Mapping[int, str], size_hw: tuple[int, int], notes: Notes
) -> Found:
    height, width = size_hw
    name = names[int(float(line[0]))]  # some write 1.000000
    values = [float(value) for value in line[1:]]
    if len(values) == 4:
        x, y, w, h = (value * side for value, side in zip(values, (width, height) * 2, strict=True))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        notes[BOXES] += 1
        return Found(name, box_rle(box, size_hw), box_xyxy=box)
    if len(values) < 6 or len(values) % 2:
        raise ValueError
    corners = [value * (height if place % 2 else width) for place, value in enumerate(values)]
    return Found(name, polygons_rle([corners], size_hw))


def _labels_of(picture: Path) -> Path:
    """Return where the labels are: "labels" for the last folder "images" of the path."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")
