"""Datasets written into a folder where people may have edited what was written before.

A format is first written whole beside its place, then moved there file by file. Files that are not
as they were written, edited by hand that is, or that we never wrote, stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        files: how many were written.
        kept: files that were edited by hand and stay as they are, by their paths in the folder.
    """

    folder: Path
    files: int
    kept: tuple[str, ...]


def write_format(
    dataset: Dataset,
    exporter: Exporter,
    folder: Path,
    *,
    masks: MaskFormat = "rle",
    pictures: Pictures = "link",
    overwrite: bool = False,
) -> Written:
    """Write a dataset into the folder of a format.

    Args:
        dataset: what is written.
        exporter: the format.
        folder: made if absent; what we wrote there before is replaced.
        masks: as for the exporter.
        pictures: likewise.
        overwrite: replace files that were edited by hand as well.

    Raises:
        OSError: the disk is full, say; then nothing has changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staged:
        new = Path(staged) / folder.name
        new.mkdir()
        exporter(dataset, new, masks=masks, pictures=pictures)
        digests = {name: _digest(new / name) for name in _files(new)}
        write_json({name: [digest] for name, digest in digests.items()}, new / MANIFEST)
        if not folder.exists():
            new.rename(folder)
            return Written(folder, len(digests), ())
        return _move(new, folder, digests, overwrite=overwrite)


def _move(new: Path, folder: Path, digests: Mapping[str, str], *, overwrite: bool) -> Written:
    """Move files to their places, remove those that were ours and are no more, leave the rest."""
    ours = _manifest(folder)
    kept: dict[str, list[str]] = {}
    for name in _files(folder):
        if name not in ours and name not in digests:
            continue  # of somebody else
        untouched = _digest(folder / name) in (*ours.get(name, ()), digests.get(name))
        if name not in digests and untouched:
            (folder / name).unlink()
        elif not untouched and not (overwrite and name in digests):
            kept[name] = ours.get(name, [])
    # Until all is moved, what lies there may be the old file or the new one.
    either = {name: [*ours.get(name, ()), digest] for name, digest in digests.items()}
    write_json({**ours, **either}, folder / MANIFEST)
    moved = [name for name in digests if name not in kept]
    for name in moved:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(folder / name)
    write_json({**kept, **{name: [digests[name]] for name in moved}}, folder / MANIFEST)
    return Written(folder, len(moved), tuple(kept))


def _files(folder: Path) -> list[str]:
    """List the files and links of a format by their paths in its folder, sorted."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != MANIFEST)


def _digest(path: Path) -> str:
    """Return what tells the contents of a file from others; of a link, where it leads."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _manifest(folder: Path) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}  # nothing there is known to be ours
    return found
