"""One row of somebody's table, or one object of their JSON Lines, as an example."""

from __future__ import annotations

import codecs
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from grounded_ram.autolabel.items import is_url, is_utf8, straight
from grounded_ram.data_engine.examples import Caption, Example, once
from grounded_ram.data_engine.reading.separators import mark_in
from grounded_ram.errors import InputError

IMAGE_KEYS = (
    *("image", "file_name", "filename", "image_path", "path", "file", "image_name", "filepath"),
)
TAG_KEYS = ("tags", "tag", "labels", "label", "classes", "class")
CAPTION_KEYS = ("captions", "caption", "text", "comment")
"""What columns and keys are called, in any case. The first of each goes before the others; of the
others there may be one, since nothing says which of two is meant."""

NOTHING = "neither tags nor captions"
NO_UTF8 = "bytes that are no UTF-8; save the file as UTF-8"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BadRow:
    """A part of a source that gave no example.

    Args:
        place: where it is, such as "labels.csv:17".
        reason: why, in one line: the same words for the same reason, details after a colon.
        file: path of the file that it stands in, or of the picture where no file lists it; "" where
            nobody told.
        row: the number of its line, or what else it is in the file, such as "image 3".
    """

    place: str
    reason: str
    file: str = ""
    row: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


Row: TypeAlias = Example | BadRow
"""What a source gives for each of its rows."""


class BadRows:
    """Counts bad rows, and keeps the first of them.

    Args:
        keep: how many.
        then: is told each of them, too; see ``left_out.noting_left_out``.

    Attributes:
        count: how many there were.
        reasons: how many for each reason, without its details.
        first: the first ones.
    """

    def __init__(self, keep: int = 100, *, then: Callable[[BadRow], None] | None = None) -> None:
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self.first: list[BadRow] = []
        self._keep = keep
        self._then = then

    def __call__(self, row: BadRow) -> None:
        """Take note of one."""
        self.count += 1
        self.reasons[row.reason.partition(":")[0]] += 1
        if len(self.first) < self._keep:
            self.first.append(row)
        if self._then is not None:
            self._then(row)


def log_bad_row(row: BadRow) -> None:
    """Log a bad row as a warning."""
    _log.warning("left out %s", row)


class Pictures:
    """Finds the files of pictures that somebody wrote down.

    Args:
        root: the folder that their names begin at.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = straight(Path(root))

    def find(self, name: str) -> str:
        r"""Return the absolute path of a picture; "\" between folders may stand for "/".

        Raises:
            InputError: there is no such file; the message says where it was looked for.
        """
        if is_url(name):
            raise InputError(f"an address, not a file; download the picture first: {name!r}")
        try:
            for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
                path = straight(self._root / spelling)
                if path.is_file():
                    return str(path)
        except (OSError, ValueError) as error:  # too long, or with NUL
            raise InputError(f"no path of a picture: {error}") from error
        raise InputError(f"there is no picture: {str(self._root / name)!r}")


def first_line_no_utf8(path: Path) -> int | None:
    """Return the number of the first line of a file that is no UTF-8; None if all are."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


def check_readable(path: Path) -> None:
    """Make sure that a file can be read, and is not in UTF-16.

    Raises:
        InputError: it cannot, or is.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise InputError(f"expected UTF-8, but {str(path)!r} is UTF-16; save it as UTF-8")


def key_in(names: Iterable[str], keys: Collection[str], what: str) -> str | None:
    """Return the name that means something by the keys for it; None if there is none.

    Raises:
        InputError: several may be meant, or the one that is meant comes twice.
    """
    found = [name for name in names if name.strip().casefold() in keys]
    wanted = next(iter(keys))
    first = [name for name in found if name.strip().casefold() == wanted]
    if len(first or found) > 1:
        both = " and ".join(map(repr, first or found))
        raise InputError(
            f"expected one column or key for {what}, got {both}; call the right one {wanted!r}, "
            "and no other"
        )
    return next(iter(first or found), None)


def example_of(
    row: Mapping[str, Any],
    pictures: Pictures,
    separator: str | None = None,
    *,
    may_be_bare: bool = False,
) -> Example:
    """Return the example of a row with keys as above.

    Args:
        row: tags may be a list or a text with separators; captions a text, or a list of texts and
            of objects with ``text`` and perhaps ``tags``.
        pictures: finds the picture.
        separator: parts tags in a text; None: see ``tags_of``.
        may_be_bare: a row without tags and captions says that the picture shows nothing of what is
            asked for.

    Raises:
        InputError: it lacks a picture, tags and captions, or they are something else.
    """
    key = key_in(row, IMAGE_KEYS, "pictures")
    if key is None:
        if "url" in row:
            raise InputError(f"an address, not a file; download the picture first: {row['url']!r}")
        raise InputError(f"no picture: expected one of {', '.join(IMAGE_KEYS)}")
    name = row[key]
    if name is None or name == "":
        raise InputError("no picture: the value is empty")
    image = _text(name, key)
    tags_key = key_in(row, TAG_KEYS, "tags")
    captions_key = key_in(row, CAPTION_KEYS, "captions")
    captions = (
        () if captions_key is None else captions_of(row[captions_key], captions_key, separator)
    )
    tags = () if tags_key is None else tags_of(row[tags_key], tags_key, separator)
    told = dict.fromkeys((*tags, *(tag for caption in captions for tag in caption.tags)))
    if not told and not captions and not may_be_bare:
        raise InputError(NOTHING)
    return Example(pictures.find(image), tuple(told), captions)


def tags_of(value: Any, key: str, separator: str | None = None) -> tuple[str, ...]:
    """Return the tags in a value, each once, with one space between words.

    Args:
        value: a list, or a text.
        key: what it stands under.
        separator: parts the tags in a text; None: the first of ``separators.SEPARATORS`` in it.

    Raises:
        InputError: they are no names.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        mark = separator or mark_in(value)
        value = [value] if mark is None else value.split(mark)
    if not isinstance(value, list):
        raise InputError(f"expected names under {key!r}: got {str(value)[:60]!r}")
    names = (" ".join(_text(one, key).split()) for one in value)
    tags = tuple(dict.fromkeys(filter(None, names)))
    if tags and all(tag.isdecimal() for tag in tags):
        raise InputError(f"expected names under {key!r}, got numbers: {', '.join(tags)[:60]}")
    return tags


def captions_of(value: Any, key: str, separator: str | None = None) -> tuple[Caption, ...]:
    """Return the captions in a value, each once; empty ones are left out.

    Args:
        value: a text, or a list of texts and of objects with ``text`` and perhaps ``tags``.
        key: what it stands under.
        separator: as for ``tags_of``.

    Raises:
        InputError: they are no texts.
    """
    if value is None:
        return ()
    found = []
    for one in value if isinstance(value, list) else [value]:
        about = one if isinstance(one, dict) else {"text": one}
        text = _text(about.get("text"), key).strip()
        if text:
            found.append(Caption(text, tags_of(about.get("tags"), key, separator)))
    return once(found)


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected text under {key!r}: got {str(value)[:60]!r}")
    if not is_utf8(value):
        raise InputError(f"{NO_UTF8}: under {key!r}: {value[:60]!a}")
    if "\0" in value:
        raise InputError(f"a NUL in a text: under {key!r}: {value[:60]!a}")
    return value
