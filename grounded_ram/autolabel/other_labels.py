"""Labels that another tool has left beside a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

_Check: TypeAlias = Callable[[bytes], bool]

_MOST = 1 << 16  # bytes read of a file


def label_beside(picture: Path) -> str | None:
    """Return what kind of labels a picture has, and in which file; None if it has none.

    Looked for are NAME.json of LabelMe, NAME.xml of Pascal VOC and NAME.txt of YOLO beside the
    picture, and where the latter two keep their own folders: ``labels`` for ``images``,
    ``Annotations`` for ``JPEGImages``. A file of such a name with other contents, as a caption in
    NAME.txt, is none.
    """
    for path, tool, is_label in _places(picture):
        try:
            with path.open("rb") as file:
                if is_label(file.read(_MOST)):
                    return f"{tool}: {path}"
        except OSError:
            continue
    return None


def _places(picture: Path) -> Iterator[tuple[Path, str, _Check]]:
    """Yield where labels may lie, whose they would be, and how to know them."""
    yield picture.with_suffix(".json"), "LabelMe", _is_labelme
    yield picture.with_suffix(".xml"), "Pascal VOC", _is_voc
    yield picture.with_suffix(".txt"), "YOLO", _is_yolo
    if voc := _instead(picture, "JPEGImages", "Annotations"):
        yield voc.with_suffix(".xml"), "Pascal VOC", _is_voc
    if yolo := _instead(picture, "images", "labels"):
        yield yolo.with_suffix(".txt"), "YOLO", _is_yolo
    yield picture.parent.parent / "labels" / f"{picture.stem}.txt", "YOLO", _is_yolo


def _instead(picture: Path, folder: str, other: str) -> Path | None:
    """Return the path with the last folder of a name called otherwise; None if it has none."""
    parts = list(picture.parts)
    if folder not in parts[:-1]:
        return None
    place = len(parts) - 2 - parts[-2::-1].index(folder)
    return Path(*parts[:place], other, *parts[place + 1 :])


def _is_labelme(start: bytes) -> bool:
    return b'"shapes"' in start


def _is_voc(start: bytes) -> bool:
    return b"<annotation" in start


def _is_yolo(start: bytes) -> bool:
    """Tell whether a class number and at least four numbers stand in the first line, or nothing."""
    words = start.strip().split(b"\n", 1)[0].split()
    if not words:
        return True
    try:
        return words[0].isdigit() and len([float(word) for word in words]) >= 5
    except ValueError:
        return False
