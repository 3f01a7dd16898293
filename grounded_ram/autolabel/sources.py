"""Where the pictures of a dataset run come from: what the user typed, as a stream of items.

    typed                       gives
    FOLDER                      the pictures in it and below
    'PATTERN'                   what *, ?, [] and ** match: pictures, or archives, or videos
    FILE.jpg                    one picture, whatever its ending if it is none of the following
    FILE.tar .tar.gz .zip ...   the pictures in an archive
    FILE.mp4 .mov ...           frames of a video
    FILE.json                   the images of a COCO file
    wds:FILE.tar                a shard of a WebDataset: one picture of each sample
    'shard-{000..012}.tar'      several
    @FILE                       a list: one path or address a line
    -                           such a list from the standard input
    https://HOST/PATH           one picture

What is on the disk under the very name that was typed goes before any reading as a pattern.

Names begin at the deepest folder above all that was typed. They depend on that alone, so that they
stay when pictures are added. Pictures in archives and frames of videos lie, as it were, in a folder
that is called like the file without its ending; those from addresses, in one called like the host.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO

from grounded_ram.autolabel.archives import Archive, spread
from grounded_ram.autolabel.coco_images import CocoImages
from grounded_ram.autolabel.folders import Folder, Pattern, is_within
from grounded_ram.autolabel.items import (
    ARCHIVE_ENDINGS,
    VIDEO_ENDINGS,
    Item,
    Naming,
    Skipped,
    Source,
    ending,
    is_url,
    is_utf8,
    straight,
)
from grounded_ram.autolabel.lists import ListFile, PictureFile, StandardInput
from grounded_ram.autolabel.other_labels import label_beside
from grounded_ram.autolabel.urls import Url, fetch
from grounded_ram.autolabel.videos import Video
from grounded_ram.errors import InputError

__all__ = ["Item", "Skipped", "Sources", "fetch", "open_sources"]

_WEBDATASET = "wds:"
_LIST_ENDINGS = (".csv", ".jsonl", ".list", ".lst", ".tsv", ".txt")


class Sources:
    """The pictures to label, from all that was typed, in that order.

    Args:
        sources: at least one.
        keep_in: folder for files that are taken from elsewhere.
        leave_out: further folders in which no pictures are looked for.
    """

    def __init__(
        self, sources: Sequence[Source], *, keep_in: Path, leave_out: Sequence[Path] = ()
    ) -> None:
        self._sources = sources
        self._keep_in = keep_in.absolute()
        self._leave_out = tuple(str(folder.resolve()) for folder in (keep_in, *leave_out))

    def items(self) -> Iterator[Item | Skipped]:
        """Go through all of it from its start; called again, it gives the same names.

        Archives and videos are taken apart meanwhile: the file of an item is there once the item
        is reached, but for one with an address, which ``fetch`` gets.
        """
        bases = [source.base for source in self._sources if source.base is not None]
        one_folder = len(self._sources) == 1 and isinstance(self._sources[0], Folder)
        naming = Naming(_common(bases), self._keep_in, self._leave_out, unique=one_folder)
        for source in self._sources:
            yield from source.items(naming)

    def count(self) -> int | None:
        """Return how many items there are; None where only taking things apart would tell."""
        if not all(source.is_listed for source in self._sources):
            return None
        return sum(isinstance(item, Item) for item in self.items())

    def record(self) -> list[dict[str, Any]]:
        """Return what was asked for as plain JSON: equal if and only if the same was asked for."""
        return [source.record() for source in self._sources]

    def is_labelled(self, item: Item) -> str | None:
        """Return what labels an item has already, and where; None if it has none.

        Args:
            item: one that ``items`` has given.
        """
        for source in self._sources:
            if isinstance(source, CocoImages) and item.name in source.labelled_names:
                return f"COCO: {source.path}"
        return label_beside(Path(item.path))


@dataclass(frozen=True)
class _Options:
    """How some kinds are opened, as in ``open_sources``."""

    frames: str
    images_root: Path | None
    stdin: BinaryIO | None


def open_sources(
    given: Sequence[str],
    *,
    keep_in: Path,
    leave_out: Sequence[Path] = (),
    frames: str = "1s",
    images_root: Path | None = None,
    stdin: BinaryIO | None = None,
) -> Sources:
    """Open what the user typed; the table at the top of this module has the kinds.

    Args:
        given: one or more of them.
        keep_in: folder for files that are taken from archives, videos and addresses; it need not be
            there, and no pictures are looked for in it.
        leave_out: further folders in which none are looked for, such as that of the results.
        frames: of videos: "30" for each 30th frame, "2s" for one every two seconds, "scenes" for
            the first of each scene.
        images_root: folder that the file names in a COCO file begin at; None means that file's.
        stdin: what "-" reads; None means the standard input.

    Raises:
        InputError: there is no such thing, or it is of no kind known here.
    """
    if not given:
        raise InputError("expected a folder, a file or an address with pictures, got nothing")
    options = _Options(frames, images_root, stdin)
    opened = [source for text in dict.fromkeys(given) for source in _open(text, options)]
    for source in opened:
        for folder in (keep_in, *leave_out):
            if isinstance(source, (Folder, Pattern)) and is_within(
                str(Path(source.base).resolve()), str(folder.resolve())
            ):
                raise InputError(f"{source.base!r} is where the results go; name other pictures")
    return Sources(opened, keep_in=keep_in, leave_out=leave_out)


def _open(text: str, options: _Options) -> list[Source]:
    if text == "-":
        return [StandardInput(options.stdin or sys.stdin.buffer)]
    if is_url(text):
        return [Url(text)]
    if not text or not is_utf8(text) or "\0" in text:
        raise InputError(f"expected a file, a folder or an address, got {text!a}")
    path = Path(text)
    if text.startswith("@"):
        return [_open_list(text, options)]
    return [_open_path(path, options)] if path.exists() else _open_pattern(text, options)


def _open_list(text: str, options: _Options) -> Source:
    """Open @FILE, unless it is a file that is called so."""
    itself, named = Path(text), Path(text[1:])
    if itself.exists() and named.exists():
        raise InputError(f"there is a file {text!r} too; type './{text}' for it, or '@./{named}'")
    if itself.is_file():
        return _open_path(itself, options)
    if not named.is_file():
        raise InputError(f"there is no list {str(named)!r}")
    return ListFile(straight(named))


def _open_path(path: Path, options: _Options, *, samples: bool = False) -> Source:
    """Open what is there.

    Args:
        path: of a folder or a file.
        options: how some kinds are opened.
        samples: whether it must be a shard of a WebDataset.
    """
    path = straight(path)
    end = ending(path.name)
    if end in ARCHIVE_ENDINGS and path.is_file():
        return Archive(path, samples=samples)
    if samples:
        raise InputError(f"expected a shard like shard-000.tar, got {str(path)!r}")
    if path.is_dir():
        return Folder(path)
    if end in VIDEO_ENDINGS:
        return Video(path, options.frames)
    if end == ".json":
        root = path.parent if options.images_root is None else straight(options.images_root)
        return CocoImages(path, root)
    if end in _LIST_ENDINGS:
        raise InputError(f"{str(path)!r} is no picture; type '@{path}' if it is a list of them")
    return PictureFile(path)


def _open_pattern(text: str, options: _Options) -> list[Source]:
    """Open what a name stands for that is not on the disk."""
    plain = text.removeprefix(_WEBDATASET)
    paths = spread(plain)
    opened: list[Source] = []
    for one in paths:
        is_archive = ending(one) in ARCHIVE_ENDINGS
        samples = text != plain or (len(paths) > 1 and is_archive)
        open_file = partial(_open_path, options=options, samples=samples)
        if one and Path(one).exists():
            opened.append(open_file(Path(one)))
        elif has_magic(one):
            opens = samples or is_archive or ending(one) in VIDEO_ENDINGS
            opened.append(Pattern(one, open_file if opens else None))
        else:
            raise InputError(f"there is no file or folder {one!r}")
    return opened


def _common(folders: Sequence[str]) -> str | None:
    """Return the deepest folder above all folders."""
    try:
        return os.path.commonpath(folders) if folders else None
    except ValueError:  # as on drives C: and D:
        return None
