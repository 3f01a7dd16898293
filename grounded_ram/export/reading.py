"""Datasets that others have labelled, read as annotations, to be written in another format."""

from __future__ import annotations

from pathlib import Path

from grounded_ram.errors import InputError
from grounded_ram.export.pages import Reading
from grounded_ram.export.reading_coco import read_coco
from grounded_ram.export.reading_labelme import read_labelme
from grounded_ram.export.reading_voc import read_voc
from grounded_ram.export.reading_yolo import read_yolo


def read_dataset(source: str | Path, images: str | Path | None = None) -> Reading:
    """Read a dataset in whichever of these formats it is.

    - a ``.json`` file: COCO instances;
    - a ``.yaml`` or ``.yml`` file, or a folder with ``data.yaml``: YOLO, segments or boxes;
    - a folder with ``Annotations``: Pascal VOC;
    - any other folder: LabelMe, a JSON file for each picture.

    Args:
        source: the file or the folder.
        images: the folder that COCO's file names start from, if not the file's own; the other
            formats say themselves where the pictures are.

    Raises:
        InputError: it is none of these, or cannot be read; the message says where. Also while the
            dataset is iterated.
    """
    source = Path(source)
    kind = source.suffix.lower()
    if kind == ".json" and not source.is_dir():
        return read_coco(source, images)
    if images is not None:
        raise InputError(f"images: only a COCO file needs to be told where they are, not {source}")
    if kind in (".yaml", ".yml") and not source.is_dir():
        return read_yolo(source)
    if not source.is_dir():
        raise InputError(
            f"{str(source)!r}: expected a COCO file (.json), YOLO's data.yaml, or a folder in the "
            "format of YOLO, Pascal VOC or LabelMe"
        )
    if (source / "data.yaml").is_file():
        return read_yolo(source / "data.yaml")
    if (source / "Annotations").is_dir():
        return read_voc(source)
    return read_labelme(source)
