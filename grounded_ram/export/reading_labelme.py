"""LabelMe's folders: a JSON file beside each picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from grounded_ram.annotation import ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export.found import Found, facts, polygons_rle
from grounded_ram.export.pages import Notes, Reading, read_pages


def read_labelme(folder: Path) -> Reading:
    """Read all JSON files of a folder and its sub-folders.

    Polygons and rectangles are read; those that share their label and a ``group_id`` are one
    object. Other shapes are left out. Keys are the pictures' paths from the folder.

    Raises:
        InputError: there is none, or one does not hold what it should; the message says where.
    """
    pages = sorted(path for path in folder.rglob("*.json") if not path.name.startswith("."))
    if not pages:
        raise InputError(
            f"{str(folder)!r}: expected a dataset: YOLO with data.yaml, Pascal VOC with "
            "Annotations, or LabelMe with a JSON file for each picture"
        )

    def read_page(page: Path, notes: Notes) -> tuple[ImageFacts, list[Found]]:
        try:
            return _read_page(folder, page, json.loads(page.read_bytes()), notes)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{str(page)!r}: expected what LabelMe writes for a picture; {error!r}"
            ) from error

    return read_pages(pages, read_page)


def _read_page(
    folder: Path, page: Path, value: Mapping[str, Any], notes: Notes
) -> tuple[ImageFacts, list[Found]]:
    size_hw = (int(value["imageHeight"]), int(value["imageWidth"]))
    name = str(value["imagePath"]).replace("\\", "/").rpartition("/")[2]
    path = page.with_name(name)
    groups: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for number, shape in enumerate(value["shapes"]):
        if shape["shape_type"] not in ("polygon", "rectangle"):
            notes[f"shapes were left out that are a {shape['shape_type']}"] += 1
            continue
        group = shape.get("group_id")
        alone = f"alone {number}"
        groups.setdefault((str(shape["label"]), alone if group is None else group), []).append(
            shape
        )
    found = [
        Found(label, polygons_rle([_line(one) for one in parts], size_hw), told=_told(parts[0]))
        for (label, _), parts in groups.items()
    ]
    return facts(path, path.relative_to(folder).as_posix(), size_hw), found


def _line(shape: Mapping[str, Any]) -> list[float]:
    points = shape["points"]
    if shape["shape_type"] == "rectangle":
        (x1, y1), (x2, y2) = points
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return [float(value) for value in chain.from_iterable(points)]


def _told(shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scores that our own files have in the description."""
    try:
        told = json.loads(shape.get("description") or "{}")
    except ValueError:  # somebody's own words
        return {}
    return told if isinstance(told, dict) else {}
