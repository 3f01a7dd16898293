"""Files of examples: JSON Lines, one example a line.

    {"image": "street/1.jpg", "tags": ["dog"], "captions": [{"text": "A dog.", "tags": ["dog"]}]}

``image`` is relative to the file's folder where the picture lies below it, and absolute otherwise:
a folder with pictures and such a file can be moved as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from grounded_ram.autolabel.items import is_utf8, straight
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.errors import InputError
from grounded_ram.export.files import json_bytes, replacing


def write_examples(examples: Iterable[Example], path: str | Path) -> int:
    """Write a file of examples, whole or not at all, and return how many there are.

    They are written as they come; missing folders are made. What lay there may be what the
    examples are read from.

    Raises:
        InputError: a text is no valid Unicode, as names of files need not be.
    """
    path = straight(Path(path))
    number = 0
    with replacing(path) as file:
        for number, example in enumerate(examples, 1):
            try:
                file.write(json_bytes(_record(example, path.parent)) + b"\n")
            except UnicodeEncodeError as error:
                raise InputError(
                    f"example {number}: expected names and texts of valid Unicode, got "
                    f"{example.image!a}; rename the picture, or correct the text"
                ) from error
    return number


def read_examples(path: str | Path) -> Iterator[Example]:
    """Read a file as ``write_examples`` leaves it, one line at a time; ``image`` becomes absolute.

    Nothing is left out, merged or looked for: ``reading.open_examples`` is for files
    from elsewhere.

    Raises:
        InputError: the file cannot be read, or a line is no example; the message says which.
    """
    path = straight(Path(path))
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield _example(json.loads(line.decode()), path.parent)
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{path}:{number}: bytes that are no UTF-8; save the file as UTF-8"
                    ) from error
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: {error}") from error
    except OSError as error:
        raise InputError(
            f"expected a file of examples, but {str(path)!r} cannot be read: {error.strerror}"
        ) from error


def _record(example: Example, folder: Path) -> dict[str, Any]:
    image = straight(Path(example.image))
    inside = image.is_relative_to(folder)
    return {
        "image": image.relative_to(folder).as_posix() if inside else str(image),
        "tags": example.tags,
        "captions": [{"text": one.text, "tags": one.tags} for one in example.captions],
    }


def _example(record: Any, folder: Path) -> Example:
    """Return the example of a line.

    Raises:
        InputError: it is none.
    """
    try:
        captions = [Caption(_text(one["text"]), _names(one["tags"])) for one in record["captions"]]
        image = str(folder / _text(record["image"]))
        return Example(image, _names(record["tags"]), tuple(captions))
    except (KeyError, TypeError) as error:
        raise InputError(
            'expected {"image": ..., "tags": [...], "captions": [{"text": ..., "tags": [...]}]}, '
            f"got {json.dumps(record)[:200]}"
        ) from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not is_utf8(value):
        raise TypeError
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))
