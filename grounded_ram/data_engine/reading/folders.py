"""Folders of pictures that are told about by what lies beside them, or by where they lie.

```text
captions:FOLDER   pictures anywhere in it, beside each NAME.txt or NAME.caption, a caption a line
classes:FOLDER    FOLDER/CLASS/picture: the folder's name is the tag, "_" read as a space
```
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath
from typing import NamedTuple

from grounded_ram.autolabel.folders import File, walk
from grounded_ram.autolabel.items import Skipped, not_a_picture, straight
from grounded_ram.autolabel.other_labels import label_beside
from grounded_ram.data_engine.examples import Caption, Example, once
from grounded_ram.data_engine.reading.rows import NO_UTF8, BadRow, Row, first_line_no_utf8
from grounded_ram.errors import InputError

CAPTION_ENDINGS = (".caption", ".txt")
"""Of files with the captions of the picture that is called like them, in capitals too."""

LAYOUTS = ("captions", "classes")

_LISTED = 8  # folders whose names are kept at once


def layout_of(folder: Path) -> str:
    """Tell which of ``LAYOUTS`` a folder has.

    With a picture in the folder itself, and a caption beside some picture in it or below, it is
    "captions"; with pictures in sub-folders alone, none with a caption, "classes".

    Raises:
        InputError: it is neither, or may be both.
    """
    beside = _Beside()
    on_top = captioned = below = False
    for found in walk(str(straight(folder))):
        if isinstance(found, File) and not not_a_picture(found.name):
            on_top |= "/" not in found.name
            below |= "/" in found.name
            captioned |= bool(beside.captions(found.path))
            if on_top and captioned:
                return "captions"
    if below and not on_top and not captioned:
        return "classes"
    what = (
        "pictures in sub-folders, with captions beside them: both may be meant"
        if captioned
        else "pictures in the folder itself, and captions beside none"
        if on_top
        else "no picture"
    )
    raise InputError(
        f"{str(folder)!r}: expected pictures with captions in NAME.txt beside them, or a folder in "
        f"it for the pictures of each class; got {what}. Say 'captions:{folder}' or "
        f"'classes:{folder}', or name the file that tells about the pictures: a table (.csv, "
        ".tsv), lines (.jsonl), or COCO's (.json)"
    )


class CaptionFolder:
    """Pictures with captions beside them.

    Args:
        folder: of the pictures, with folders below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = straight(folder)
        self.about = f"folder of pictures with captions beside them: {folder.name}"

    def rows(self) -> Iterator[Row]:
        """Give an example for each picture, and name pictures and captions that are alone."""
        beside = _Beside()
        for found in walk(str(self._folder)):
            if isinstance(found, Skipped):
                yield from _failure(found)
            elif not not_a_picture(found.name):
                try:
                    yield _with_captions(found.path, beside.captions(found.path))
                except InputError as error:
                    yield BadRow(found.name, str(error), found.path)
            elif _is_caption(found.name) and not beside.has_picture(found.path):
                yield BadRow(found.name, "a caption without a picture beside it", found.path)


class ClassFolder:
    """Pictures in a sub-folder for each class.

    Args:
        folder: the one that holds these sub-folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = straight(folder)
        self.about = f"folder with a sub-folder a class: {folder.name}"

    def rows(self) -> Iterator[Row]:
        """Give an example for each picture, and name those that lie in no class's folder."""
        for found in walk(str(self._folder)):
            if isinstance(found, Skipped):
                yield from _failure(found)
            elif not not_a_picture(found.name):
                *folders, _ = found.name.split("/")
                tag = " ".join(folders[0].replace("_", " ").split()) if folders else ""
                if len(folders) == 1 and tag:
                    yield Example(found.path, (tag,))
                else:
                    yield BadRow(
                        found.name,
                        "expected to lie in a class's folder: FOLDER/CLASS/picture; "
                        f"{len(folders)} folders come between",
                        found.path,
                    )


class _Listing(NamedTuple):
    """What is in a folder: names without ending of pictures, and the captions of each name."""

    pictures: frozenset[str]
    captions: dict[str, list[str]]


class _Beside:
    """Knows what lies beside a file, from listing its folder once."""

    def __init__(self) -> None:
        self._list = lru_cache(maxsize=_LISTED)(_list)

    def captions(self, picture: str) -> list[str]:
        """Return the paths of the files with captions of a picture."""
        folder, name = os.path.split(picture)
        names = self._list(folder).captions.get(_stem(name), [])
        return [f"{folder}{os.sep}{one}" for one in names]

    def has_picture(self, caption: str) -> bool:
        """Tell whether a picture of the same name lies beside."""
        folder, name = os.path.split(caption)
        return _stem(name) in self._list(folder).pictures


def _list(folder: str) -> _Listing:
    captions: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in filter(_is_caption, names):
        captions.setdefault(_stem(name), []).append(name)
    return _Listing(frozenset(_stem(n) for n in names if not not_a_picture(n)), captions)


def _is_caption(name: str) -> bool:
    return PurePath(name).suffix.casefold() in CAPTION_ENDINGS


def _stem(name: str) -> str:
    return PurePath(name).stem


def _with_captions(picture: str, files: list[str]) -> Example:
    """Return a picture with the captions that files hold.

    Raises:
        InputError: they hold none.
    """
    if not files:
        raise InputError("no caption beside it: expected NAME.txt or NAME.caption")
    lines = [line for file in files for line in _lines(Path(file), Path(picture))]
    if not lines:
        raise InputError(f"its caption is empty: {Path(files[0]).name!r}")
    return Example(picture, (), once(map(Caption, lines)))


def _lines(file: Path, picture: Path) -> list[str]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"its caption cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        line = first_line_no_utf8(file)
        raise InputError(f"{NO_UTF8}: its caption {file.name!r}, line {line}") from error
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    # Such numbers are no caption; asked for captions that begin like them only, since it is slow.
    if lines and lines[0][0].isdigit() and (label_beside(picture) or "").startswith("YOLO"):
        raise InputError(f"labels of YOLO, no caption: {file.name!r}; try: grounded-ram convert")
    return lines


def _failure(found: Skipped) -> Iterator[BadRow]:
    if found.is_failure:
        yield BadRow(found.name, found.reason)
