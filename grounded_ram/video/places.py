"""Where the files of a video go.

OUT/NAME.mp4           the overlay
OUT/NAME.json          the objects, in the layout of YouTube-VIS
OUT/NAME.tracks.csv    a line for each object in each frame
OUT/NAME/000012.jpg    the frames that were annotated, if they are asked for
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grounded_ram.errors import InputError


@dataclass(frozen=True)
class Places:
    """The files of one video in one folder."""

    overlay: Path
    labels: Path
    table: Path
    frames: Path

    @classmethod
    def of(cls, source: Path, output: Path) -> Places:
        """Name the files after a video.

        Raises:
            InputError: the video itself lies where its overlay would.
        """
        name = source.stem
        overlay = output / f"{name}.mp4"
        if overlay.exists() and source.exists() and overlay.samefile(source):
            raise InputError(
                f"the overlay would replace {str(source)!r} itself; choose another folder with -o"
            )
        return cls(overlay, output / f"{name}.json", output / f"{name}.tracks.csv", output / name)

    def check(self, *, overwrite: bool) -> None:
        """Make sure that nothing an earlier run left would be replaced unasked.

        Raises:
            InputError: something is there.
        """
        found = self.written()
        if found and not overwrite:
            raise InputError(
                f"{str(found[0])!r} is there from an earlier run; "
                "choose another folder with -o, or replace it with --overwrite"
            )

    def frame(self, number: int) -> Path:
        """Return where a frame goes."""
        return self.frames / f"{number:06}.jpg"

    def file_name(self, number: int) -> str:
        """Return what the JSON calls a frame: its path in the folder."""
        return f"{self.frames.name}/{number:06}.jpg"

    def written(self) -> list[Path]:
        """Return those that are there."""
        places = (self.overlay, self.labels, self.table, self.frames)
        return [path for path in places if path.exists()]
