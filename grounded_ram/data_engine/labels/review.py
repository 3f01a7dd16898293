"""review.csv: the tags that are proposed, a line a tag, for a human to decide in a spreadsheet.

    keep             yes or no, never empty. A line that is deleted is no
    tag              which tag it is: leave it as it is. A new line with a new tag adds that tag
    kind             of the vocabulary's kinds: object, part, stuff, scene, attribute, action ...
    rename           what to call it instead
    same_as          the tag, on another line, that it is only another name of
    names            what counts as this tag already, "; " between them; what is taken out is lost
    captions, share  how many captions have it
    maybe_same_as    a suggestion: copy it to same_as if it is right
    why              why it is not kept, or what is suggested
    examples         captions that have it

What a human does not write in, from captions on, is not read back but for the order of the tags.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO, TextIOWrapper
from pathlib import Path

from grounded_ram.data_engine.labels.label_system import LabelSystem, Row, decided, head_of
from grounded_ram.data_engine.reading.rows import first_line_no_utf8
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.export.files import replacing
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.table import KINDS

COLUMNS = (
    *("keep", "tag", "kind", "rename", "same_as", "names"),
    *("captions", "share", "maybe_same_as", "why", "examples"),
)
NEEDED = ("keep", "tag", "kind")
"""Columns without which nothing can be decided."""

TOLD = 20
"""Mistakes that are told at once."""

_BETWEEN = "; "
_YES = {"yes": True, "y": True, "true": True, "1": True}
_NO = {"no": False, "n": False, "false": False, "0": False}


def write_review(rows: Iterable[Row], path: Path) -> None:
    """Write the rows, whole or not at all; a file that is there is replaced."""
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8-sig", newline="")  # Excel knows UTF-8 by its mark alone
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_cells, rows))
        text.flush()
        text.detach()


def read_review(path: Path) -> tuple[list[Row], LabelSystem]:
    """Read what a human made of the rows, and what follows from it.

    Returns:
        The rows in the order of the file, and the label system.

    Raises:
        InputError: it cannot be read, or says what cannot be; the message tells each line.
    """
    lines = _Lines(path)
    rows = lines.rows()
    return rows, decided(rows)


def _cells(row: Row) -> dict[str, str]:
    return {
        "keep": "yes" if row.keep else "no",
        "tag": row.tag,
        "kind": row.kind,
        "rename": row.rename,
        "same_as": row.same_as,
        "names": _BETWEEN.join(row.names),
        "captions": str(row.captions),
        "share": f"{row.share:.4%}",
        "maybe_same_as": row.maybe_same_as,
        "why": row.why,
        # In quotes, so that no spreadsheet takes a caption for a formula.
        "examples": " | ".join(f'"{example}"' for example in row.examples),
    }


class _Lines:
    """Reads a file that a human has edited, and collects what is wrong with it.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mistakes: dict[int, str] = {}
        self._line_of: dict[str, int] = {}

    def rows(self) -> list[Row]:
        """Return what it says.

        Raises:
            InputError: something in it cannot be.
        """
        table: dict[str, Row] = {}
        for line, cells in self._table():
            row = self._row(line, cells)
            if row is None:
                continue
            if row.tag in table:
                first = self._line_of[row.tag]
                self._mistakes[line] = f"{row.tag!r} stands in line {first} already"
                continue
            table[row.tag] = row
            self._line_of[row.tag] = line
        if not self._mistakes:
            self._check(table)
        if self._mistakes:
            raise InputError(self._message())
        return list(table.values())

    def _table(self) -> list[tuple[int, dict[str, str]]]:
        try:
            text = self._path.read_text("utf-8-sig")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            line = first_line_no_utf8(self._path)
            raise InputError(
                f"{self._path}, line {line}: is no UTF-8; save it as CSV UTF-8 in the spreadsheet"
            ) from error
        headings, _, _ = text.partition("\n")
        mark = max(",;\t", key=headings.count)
        reader = csv.reader(StringIO(text, newline=""), delimiter=mark)
        try:
            names = [name.strip().casefold() for name in next(reader, [])]
            if lacking := [name for name in NEEDED if name not in names]:
                raise InputError(
                    f"{self._path}, line 1: expected the columns {', '.join(COLUMNS)}; there is "
                    f"no {' and no '.join(lacking)}"
                )
            return [
                (reader.line_num, dict(zip(names, map(str.strip, cells), strict=False)))
                for cells in reader
                if any(map(str.strip, cells))
            ]
        except csv.Error as error:
            raise InputError(f"{self._path}, line {reader.line_num}: {error}") from error

    def _row(self, line: int, cells: Mapping[str, str]) -> Row | None:
        try:
            return _row(cells)
        except GroundedRAMError as error:
            self._mistakes[line] = str(error)
            return None

    def _check(self, table: Mapping[str, Row]) -> None:
        """Look for lines that contradict one another."""
        owners: dict[str, str] = {}
        for row in table.values():
            line = self._line_of[row.tag]
            if not row.keep:
                continue
            try:
                head = head_of(row, table)
            except InputError as error:
                self._mistakes[line] = str(error)
                continue
            called = head.rename or head.tag
            for name in dict.fromkeys((called, row.tag, *row.names)):
                owner = owners.setdefault(name, head.tag)
                if owner != head.tag:
                    self._mistakes[line] = (
                        f"{name!r} is a name of {owner!r}, line {self._line_of[owner]}, and of "
                        f"{head.tag!r}; take it away from one, or make them one with same_as"
                    )

    def _message(self) -> str:
        told = [f"  line {line}: {text}" for line, text in sorted(self._mistakes.items())]
        more = [f"  ... and {len(told) - TOLD} more"] if len(told) > TOLD else []
        count = "a mistake" if len(told) == 1 else f"{len(told)} mistakes"
        return "\n".join([f"{self._path}: {count}", *told[:TOLD], *more])


def _row(cells: Mapping[str, str]) -> Row:
    """Return the row of a line.

    Raises:
        InputError: a cell cannot be used.
        UnknownNameError: its kind is none.
    """
    keep = cells.get("keep", "").casefold()
    if not keep:  # nothing says whether it was forgotten or is meant as no
        raise InputError("keep: the cell is empty; type yes or no")
    if keep not in _YES and keep not in _NO:
        raise InputError(f"keep: expected yes or no, got {keep!r}")
    tag, kind = _name(cells, "tag"), cells.get("kind", "").casefold()
    if not tag:
        raise InputError("tag: expected a name, got nothing")
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    row = Row(
        tag=tag,
        kind=kind,
        keep=keep in _YES,
        rename=_name(cells, "rename"),
        same_as=_name(cells, "same_as"),
        names=tuple(dict.fromkeys(filter(None, _parts(cells.get("names", ""))))),
        captions=_number(cells.get("captions", "")),
        maybe_same_as=cells.get("maybe_same_as", ""),
        why=cells.get("why", ""),
    )
    if row.same_as and not row.keep:
        raise InputError("same_as: it is not kept; set keep to yes to merge it, or empty same_as")
    if row.same_as and row.rename:
        raise InputError("rename: it is the same as another tag; rename that one")
    return row


def _name(cells: Mapping[str, str], column: str) -> str:
    return " ".join(cells.get(column, "").split())


def _parts(text: str) -> Sequence[str]:
    return [" ".join(part.split()) for part in text.split(_BETWEEN.strip())]


def _number(text: str) -> int:
    """Read a count, also as a spreadsheet may show it; one that is none is 0."""
    digits = "".join(char for char in text.split(".")[0] if char.isdigit())
    return int(digits or 0)
