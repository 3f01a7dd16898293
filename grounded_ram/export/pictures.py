"""The pictures of a dataset, for formats that hold them beside the labels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal, TypeAlias

import PIL.Image

from grounded_ram.annotation import ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export.files import replacing
from grounded_ram.images import load_same

Pictures: TypeAlias = Literal["link", "copy", "none"]
"""How pictures come into a dataset: as symbolic links, as copies, or not at all."""

TURNED = "turned upright"
"""How the note of a picture begins whose file holds it in another orientation."""


def place(image: ImageFacts, target: Path, how: Pictures) -> None:
    """Put the picture of an image into a dataset.

    Labels belong to the picture as people see it. One that its file holds in another orientation,
    to be turned by its reader, is written anew, upright: not every reader turns it.

    Args:
        image: which one; its ``path`` is read.
        target: where it goes; missing folders are made.
        how: where links cannot be made, the picture is copied.

    Raises:
        InputError: it has no path, cannot be read, or was changed since it was labelled.
    """
    if how == "none":
        return
    if image.path is None:
        raise InputError(f"{image.name}: it has no file that could go into the dataset")
    target.parent.mkdir(parents=True, exist_ok=True)
    if "://" in image.path or any(note.startswith(TURNED) for note in image.notes):
        _write_upright(image.path, image.sha256, target)
        return
    source = Path(image.path).absolute()
    if not source.exists():
        raise InputError(
            f"the picture {str(source)!r} is not there any more; put it back, or leave pictures "
            "out with --pictures none"
        )
    if how == "link":
        try:
            target.symlink_to(source)
            return
        except OSError:  # as on Windows, without the right to
            pass
    shutil.copyfile(source, target)


def _write_upright(path: str, sha256: str, target: Path) -> None:
    picture = PIL.Image.fromarray(load_same(path, sha256).pixels)
    kind = PIL.Image.registered_extensions().get(target.suffix.lower(), "PNG")
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    with replacing(target) as file:
        picture.save(file, kind, **options)
