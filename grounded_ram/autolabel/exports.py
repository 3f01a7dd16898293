"""Datasets written into a folder where people may have edited what was written before.

A format is first written whole beside its place, then moved there file by file. A folder in which
files were edited by hand stays as it is, all of it, since labels of two states do not mix: class
numbers and splits may differ. What is new then goes beside it, into FORMAT-2.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from grounded_ram.cache import sha256_of
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.exporter import Exporter, MaskFormat
from grounded_ram.export.files import write_json
from grounded_ram.export.pictures import Pictures

MANIFEST = ".grounded-ram.json"
"""What we wrote into the folder of a format: the digests of each file, by its path in there."""


@dataclass(frozen=True)
class Written:
    """A dataset in one format.

    Args:
        folder: where it is.
        files: how many there are.
        edited: files that were edited by hand in the folder that was asked for, by their paths in
            it: they are why it stays as it is, and this is another folder.
    """

    folder: Path
    files: int
    edited: tuple[str, ...] = ()


def write_format(
    dataset: Dataset,
    exporter: Exporter,
    folder: Path,
    *,
    masks: MaskFormat = "rle",
    pictures: Pictures = "link",
    overwrite: bool = False,
) -> Written:
    """Write a dataset into the folder of a format, or beside it where that was edited by hand.

    Args:
        dataset: what is written.
        exporter: the format.
        folder: made if absent; what we wrote there before is replaced.
        masks: as for the exporter.
        pictures: likewise.
        overwrite: replace what was edited by hand as well.

    Raises:
        OSError: the disk is full, say; then nothing has changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staged:
        new = Path(staged) / folder.name
        new.mkdir()
        exporter(dataset, new, masks=masks, pictures=pictures)
        digests = {name: _digest(new / name) for name in _files(new)}
        edited = [] if overwrite else _edited(folder, digests)
        place = _beside(folder, digests) if edited else folder
        _move(new, place, digests)
    return Written(place, len(digests), tuple(edited))


def _edited(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """List the files in the way of new ones that are not as we wrote them."""
    ours = _manifest(folder)
    return [
        name
        for name in _files(folder)
        if (name in ours or name in digests)
        and _digest(folder / name) not in (*ours.get(name, ()), digests.get(name))
    ]


def _beside(folder: Path, digests: Mapping[str, str]) -> Path:
    """Return the first of FORMAT-2, FORMAT-3, ... that nobody has edited."""
    places = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(place for place in places if not _edited(place, digests))


def _move(new: Path, folder: Path, digests: Mapping[str, str]) -> None:
    """Move files to their places, and remove those that were ours and are no more."""
    ours = _manifest(folder)
    # Until all is moved, what lies there may be the old file or the new one.
    either = {name: [*ours.get(name, ()), digest] for name, digest in digests.items()}
    write_json({**ours, **either}, folder / MANIFEST)
    for name in ours.keys() - digests.keys():
        (folder / name).unlink(missing_ok=True)
    for name in digests:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(folder / name)
    write_json({name: [digest] for name, digest in digests.items()}, folder / MANIFEST)


def _files(folder: Path) -> list[str]:
    """List the files and links of a format by their paths in its folder, sorted."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != MANIFEST)


def _digest(path: Path) -> str:
    """Return what tells the contents of a file from others; of a link, where it leads."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return sha256_of(path)


def _manifest(folder: Path) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}  # nothing there is known to be ours
    return found
