"""Format "overlays": each picture with its masks, boxes and labels drawn on it, for people."""

from __future__ import annotations

from pathlib import Path

from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import picture_ending, write_picture
from grounded_ram.export.pictures import Pictures


def export_overlays(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write ``KEY.jpg`` for each picture; see ``export.exporter.Exporter``.

    Raises:
        InputError: a picture is gone, or was changed since it was labelled.
    """
    for annotation in dataset:
        overlay = annotation.overlay()
        write_picture(overlay, folder / f"{key_of(annotation.image)}{picture_ending(overlay.size)}")
