"""Where the files of a video go.

OUT/NAME.mp4           the overlay
OUT/NAME.json          the objects, in the layout of YouTube-VIS
OUT/NAME.tracks.csv    a line for each object in each frame
OUT/NAME/000012.jpg    the frames that were annotated, if they are asked for
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grounded_ram.errors import InputError

_FRAME = re.compile(r"[0-9]{6,}\.jpg")


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
            InputError: the video itself lies where one of them would.
        """
        ends = (".mp4", ".json", ".tracks.csv", "")
        places = cls(*(output / f"{source.stem}{end}" for end in ends))
        for path in (*places._files, places.frames):
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(
                    f"the results would replace {str(source)!r} itself; choose another folder "
                    "with -o"
                )
        return places

    def check(self, *, overwrite: bool) -> None:
        """Make sure that nothing an earlier run left would be replaced unasked.

        Raises:
            InputError: something is there, or something else that is not to be replaced at all.
        """
        wrong = [path for path in self._files if path.is_dir()]
        if self.frames.exists() and not self.frames.is_dir():
            wrong.append(self.frames)
        if wrong:
            raise InputError(f"{str(wrong[0])!r} is in the way; choose another folder with -o")
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
        """Return those that are there; a folder without frames of ours is none of them."""
        there = [path for path in self._files if path.exists()]
        return [*there, self.frames] if self._kept() else there

    def clear(self) -> None:
        """Remove what an earlier run left, but nothing that bears another name."""
        for path in (*self._files, *self._kept()):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or something of somebody else's is in it
            self.frames.rmdir()

    @property
    def _files(self) -> tuple[Path, Path, Path]:
        return self.overlay, self.labels, self.table

    def _kept(self) -> list[Path]:
        """Return the frames that are there."""
        return [path for path in self.frames.glob("*.jpg") if _FRAME.fullmatch(path.name)]
