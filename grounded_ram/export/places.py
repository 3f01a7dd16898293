"""Places for pictures in formats that name label files after the pictures, endings aside."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|^[\s#]|\s$")
"""What lists of names, one a line, do not bring back as it was."""


class Places:
    """Gives pictures places that differ in more than their endings, whatever the case of letters.

    Almost always the place is the picture's key. Where another picture has it but for the ending,
    as ``a.jpg`` and ``a.png``, a number is added: ``a-2.png``. Characters that break lists, which
    are line breaks, spaces at the ends and "#" at the start, become "_".

    Args:
        reserved: names that no folder may have; such a folder gets "_" at its end.
    """

    def __init__(self, reserved: Collection[str] = ()) -> None:
        self._reserved = reserved
        self._taken: set[str] = set()

    def of(self, key: str) -> PurePosixPath:
        """Return where the picture of a key goes, relative to the folder of all pictures."""
        *folders, name = key.split("/")
        folders = [ODD.sub("_", part) + "_" * (part in self._reserved) for part in folders]
        wanted = PurePosixPath(*folders, name)
        stem, ending = ODD.sub("_", wanted.stem), ODD.sub("_", wanted.suffix)
        number, place = 1, wanted.with_name(stem + ending)
        while _label(place) in self._taken:
            number += 1
            place = wanted.with_name(f"{stem}-{number}{ending}")
        self._taken.add(_label(place))
        return place


def _label(place: PurePosixPath) -> str:
    return place.with_suffix("").as_posix().casefold()
