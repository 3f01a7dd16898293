"""A user's own pictures as examples, from whatever tells about them.

    typed                    gives
    FILE.csv FILE.tsv        a table: a picture a row, with tags, captions, or classes with 0 or 1
    FILE.jsonl               an object a line: files of examples, and "file_name" with "text"
    FILE.json                COCO: names of objects, or captions; several are merged by picture
    FOLDER with run.json     a run of ``grounded-ram label``
    FOLDER with metadata.*   the table or the lines in metadata.csv or metadata.jsonl
    any other FOLDER         pictures with captions beside them, or a sub-folder for each class

Each may be told by a word before it, as in ``classes:FOLDER``; see ``KINDS``. What lies on the disk
under the very name that was typed goes before that.

Tables, lines and folders are read a row at a time; in memory are, at most, eight bytes a row, the
names in a few folders, and pictures of which further rows are to come. Whether a picture can be
decoded is not looked at, only whether it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.reading.coco import CocoFiles
from grounded_ram.data_engine.reading.folders import CaptionFolder, ClassFolder, layout_of
from grounded_ram.data_engine.reading.lines import Lines
from grounded_ram.data_engine.reading.merging import Merged
from grounded_ram.data_engine.reading.rows import BadRow, Row, log_bad_row
from grounded_ram.data_engine.reading.tables import Table
from grounded_ram.errors import InputError

ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "coco"}
KINDS = ("captions", "classes", "run", "csv", "tsv", "jsonl", "coco")
"""What may stand before a colon, in front of a path."""

_FOLDERS = ("captions", "classes", "run")
_METADATA = ("metadata.csv", "metadata.jsonl")
_RUN = "run.json"
_IMAGES = "images= (--images on the command line)"

_TABLE = "it has no row below the names of its columns; write one for each picture"
_FOLDER = "there is no picture in the folder; put them there, or name another folder"
_NOTHING = {
    "csv": _TABLE,
    "tsv": _TABLE,
    "jsonl": 'it has no line; write one for each picture: {"image": "a.jpg", "tags": ["dog"]}',
    "coco": 'its list of "images" is empty; name another file',
    "captions": _FOLDER,
    "classes": _FOLDER,
    "run": "no picture is labelled in it; begin with: grounded-ram label",
}
"""What a source of each kind is without rows."""


class _Source(Protocol):
    @property
    def about(self) -> str: ...

    def rows(self) -> Iterator[Row]: ...


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples that are read anew, in the same order, whenever they are iterated.

    Each image comes once: rows about the same picture are joined, see ``examples.joined``.

    Args:
        about: what the source was taken for, for people.
        read: goes through the source, each image once.
        report: is called with each row that gave no example, each time that they are iterated.
        nothing: what there is in a source without rows, for people.
    """

    about: str
    read: Callable[[], Iterator[Row]]
    report: Callable[[BadRow], None]
    nothing: str = "got none"

    def __iter__(self) -> Iterator[Example]:
        """Read the examples.

        Raises:
            InputError: at the end, if there were no rows, or none of them could be used; before,
                if the source turns out to be damaged as a whole.
        """
        good, bad = 0, 0
        first: BadRow | None = None
        for row in self.read():
            if isinstance(row, BadRow):
                bad += 1
                first = first or row
                self.report(row)
            else:
                good += 1
                yield row
        if first is None and not good:
            raise InputError(
                f"{self.about}: expected pictures with tags or captions, but {self.nothing}"
            )
        if first is not None and not good:
            raise InputError(
                f"{self.about}: expected pictures with tags or captions, but none of {bad} rows "
                f"could be used; the first is {first}. Correct them, or say which "
                f"folder the names of pictures begin at: {_IMAGES}"
            )


def open_examples(
    source: str | Path | Sequence[str | Path],
    report: Callable[[BadRow], None] = log_bad_row,
    *,
    images: str | Path | None = None,
    separator: str | None = None,
) -> Examples:
    """Open what a user has; nothing but what is needed to know its kind is read yet.

    Args:
        source: a path, perhaps with its kind before it; or several paths, of COCO files.
        report: is told each row that cannot be used; ``BadRows`` counts them. None of them stops
            the reading.
        images: the folder that names of pictures begin at, if not that of the file that has them.
        separator: between tags in one text of a table or of lines; None: the one of "|", ";" and
            "," that is in any of them; where texts differ in that, reading them is refused.

    Raises:
        InputError: it is none of these, or cannot be read; the message says what would do.
    """
    if isinstance(source, str | Path):
        kind, path = _parse(source)
        paths = [path]
    else:
        parsed = [_parse(one) for one in source]
        if not parsed or {kind for kind, _ in parsed} != {"coco"}:
            told = ", ".join(f"{path} ({kind})" for kind, path in parsed) or "none"
            raise InputError(
                f"expected COCO files (.json), which are merged by picture, got {told}; "
                "open other sources one by one"
            )
        kind, paths = "coco", [path for _, path in parsed]
    if kind in _FOLDERS and images is not None:
        raise InputError(
            f"{_IMAGES}: expected none for a folder with its pictures, got {str(images)!r}; leave "
            "it out"
        )
    if separator is not None and (kind not in ("csv", "tsv", "jsonl") or not separator):
        raise InputError(
            f"separator= (--separator on the command line): expected one, and with a table or "
            f"lines (.csv, .tsv, .jsonl) alone; got {separator!r}, and {kind}"
        )
    opened = _open(kind, paths, None if images is None else Path(images), separator)
    return Examples(opened.about, _rows_of(opened), report, _NOTHING[kind])


def _open(kind: str, paths: Sequence[Path], images: Path | None, separator: str | None) -> _Source:
    path = paths[0]
    if kind == "run":
        from grounded_ram.data_engine.reading.runs import LabelledRun  # loads supervision

        return LabelledRun(path)
    if kind == "coco":
        return CocoFiles(paths, images)
    if kind == "captions":
        return CaptionFolder(path)
    if kind == "classes":
        return ClassFolder(path)
    if kind == "jsonl":
        return Lines(path, images or path.parent, separator)
    return Table(path, kind, images or path.parent, separator)


def _rows_of(source: _Source) -> Callable[[], Iterator[Row]]:
    """Return what goes through a source, each image once."""
    return Merged(source.rows).rows if isinstance(source, Table | Lines) else source.rows


def _parse(source: str | Path) -> tuple[str, Path]:
    """Return the kind of a source, one of ``KINDS``, and its path.

    Raises:
        InputError: there is no such path, or it is of no kind.
    """
    text = str(source)
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS or Path(text).exists():
        kind, rest = "", text
    path = Path(rest)
    if not path.exists():
        raise InputError(
            f"expected a folder or a file of examples, but there is no {rest!r}; "
            f"it may end in {', '.join(ENDINGS)}"
        )
    if kind and path.is_dir() != (kind in _FOLDERS):
        raise InputError(
            f"{kind}: expected a {'folder' if kind in _FOLDERS else 'file'}, got {rest!r}"
        )
    if kind:
        return kind, path
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix.casefold() not in ENDINGS:
        raise InputError(
            f"expected a file that ends in {', '.join(ENDINGS)}, got {rest!r}; "
            f"say what it is, as in 'csv:{rest}'"
        )
    return ENDINGS[path.suffix.casefold()], path


def _kind_of_folder(folder: Path) -> tuple[str, Path]:
    if (folder / _RUN).is_file():
        return "run", folder
    found = [folder / name for name in _METADATA if (folder / name).is_file()]
    if len(found) > 1:
        raise InputError(
            f"{str(folder)!r}: expected one file about its pictures, got two; "
            f"say {str(found[0])!r} or {str(found[1])!r}"
        )
    if found:
        return ENDINGS[found[0].suffix], found[0]
    return layout_of(folder), folder
