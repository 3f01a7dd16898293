"""The folder that a run leaves: overlays, one COCO file, one list of results.

DIR/annotations.coco.json   every picture, every object, its mask
DIR/results.json            what ``--json`` prints: tags, boxes, scores, failures
DIR/overlays/NAME.jpg       each picture with masks, boxes and labels drawn on it
DIR/FORMAT/...              the dataset in each other format
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from grounded_ram.errors import InputError

if TYPE_CHECKING:
    import PIL.Image


class OutputFolder:
    """Where a run writes, and which names it has given.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coco = folder / "annotations.coco.json"
        self.results = folder / "results.json"
        self.overlays = folder / "overlays"
        self._taken: set[str] = set()

    def refuse_to_overwrite(self) -> None:
        """Make sure that nothing an earlier run left would be replaced.

        Raises:
            InputError: the folder holds results, or is no folder.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"-o must name a folder, but {str(self.folder)!r} is a file")
        in_the_way = [path for path in (self.coco, self.results, self.overlays) if path.exists()]
        if in_the_way:
            raise InputError(
                f"{str(in_the_way[0])!r} is there from an earlier run; "
                "choose another folder with -o, or replace it with --overwrite"
            )

    def write_overlay(self, picture: PIL.Image.Image, name: str) -> Path:
        """Write a drawn picture under the name of its original, and return where."""
        from grounded_ram.export.files import picture_ending, write_picture

        path = self.overlays / self._free_name(name, picture_ending(picture.size))
        write_picture(picture, path)
        return path

    def _free_name(self, name: str, kind: str) -> str:
        """Put the new ending in place of the old one, or after it where the name is taken."""
        parts = [re.sub(r"[^\w\-. ]", "_", part)[-100:] for part in name.split("/")]
        clean = Path(*[part for part in parts if part.strip(". ")] or ["picture"])
        choices = [clean.with_suffix(kind), clean.with_name(clean.name + kind)]
        choices += [clean.with_name(f"{clean.stem}-{n}{kind}") for n in range(2, 1000)]
        free = next(c.as_posix() for c in choices if c.as_posix().casefold() not in self._taken)
        self._taken.add(free.casefold())
        return free
