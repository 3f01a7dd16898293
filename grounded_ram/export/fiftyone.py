"""FiftyOne: objects with masks and scores as a COCODetectionDataset, tags beside them.

    data/           the pictures
    labels.json     the objects
    tags.json       the tags of the images, with their scores and kinds
    files.json      the pictures by the names that tags.json has

With splits each has a folder of its own with all four. A folder is read by::

    import fiftyone as fo

    dataset = fo.Dataset.from_dir(
        FOLDER,
        dataset_type=fo.types.COCODetectionDataset,
        label_types="segmentations",
        label_field="objects",
        dynamic=True,
    )
    dataset.merge_dir(
        data_path=f"{FOLDER}/files.json",
        labels_path=f"{FOLDER}/tags.json",
        dataset_type=fo.types.FiftyOneImageClassificationDataset,
        label_field="image_tags",
    )

FiftyOne's own layout for detections has no masks, and that for whole datasets is a copy of its
database's documents, which change with its versions; this one keeps the masks, exactly. An object's
``confidence`` is its box score; all its scores are attributes. Captions have no place in it. With
``pictures="none"`` the pictures must be put into ``data``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation
from grounded_ram.export.coco import open_coco
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures, place

_DIGITS = 6


def export_fiftyone(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write objects, tags and pictures; see ``export.exporter.Exporter``."""
    with ExitStack() as stack:

        def opened(part: Path) -> Callable[[Annotation], None]:
            add_objects = stack.enter_context(
                open_coco(part / "labels.json", masks=masks, kinds=dataset.kinds)
            )
            add_tags = stack.enter_context(_opened(part / "tags.json", b'{"labels": {', b"}}"))
            add_file = stack.enter_context(_opened(part / "files.json", b"{", b"}"))

            def add(annotation: Annotation) -> None:
                key = key_of(annotation.image)
                place(annotation.image, part / "data" / key, pictures)
                add_objects(annotation)
                add_tags(key, _tags(annotation))
                # FiftyOne takes the ending off this name, and so finds a.jpg and a.png apart.
                add_file(f"{key}.", f"data/{key}")

            return add

        if not dataset.splits:
            parts = {"train": opened(folder)}
        else:
            parts = {split: opened(folder / split) for split in dataset.split_names}
        for annotation in dataset:
            parts[dataset.split_of(annotation)](annotation)


def _tags(annotation: Annotation) -> list[dict[str, Any]]:
    tags = annotation.tags
    return [
        {"label": name, "confidence": round(float(score), _DIGITS), "attributes": {"kind": kind}}
        for name, score, kind in zip(tags.names, tags.scores, tags.kinds, strict=True)
    ]


@contextmanager
def _opened(path: Path, start: bytes, end: bytes) -> Iterator[Callable[[str, Any], None]]:
    """Open a JSON file to which names and their values are added, one by one."""
    with replacing(path) as file:
        separator = b"\n"

        def add(name: str, value: Any) -> None:
            nonlocal separator
            file.write(separator + _encode(name) + b": " + _encode(value))
            separator = b",\n"

        file.write(start)
        yield add
        file.write(end + b"\n")


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
