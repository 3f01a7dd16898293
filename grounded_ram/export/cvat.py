"""CVAT for images 1.1: one XML file with all pictures, beside a folder of them.

```text
annotations.xml        pictures in the order of the dataset
images/KEY             the pictures; with splits images/SPLIT/KEY
```

With splits, the file is one of a project, whose tasks are the splits.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import get_args
from xml.etree.ElementTree import Element

import numpy as np

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation
from grounded_ram.errors import InputError
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.markup import child, encode
from grounded_ram.export.pictures import Pictures, place
from grounded_ram.export.shapes import Region

ATTRIBUTES = (*SCORE_COLUMNS, *OPTIONAL_SCORES, "alternatives")
"""What is told of an object beside its shape; texts, since CVAT's numbers are whole ones."""


def export_cvat(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write annotations.xml and the pictures; see ``export.exporter.Exporter``.

    Args:
        dataset: is read once, or twice if it has splits.
        folder: as for every exporter.
        masks: "rle" writes ``<mask>``, "polygon" writes ``<polygon>``, several of one ``group_id``
            where a mask has parts or holes. Both give back the same pixels.
        pictures: as for every exporter.

    Raises:
        InputError: a name holds a character that XML cannot.
    """
    if masks not in get_args(MaskFormat):
        raise InputError(f"masks: expected one of {get_args(MaskFormat)}, got {masks!r}")
    with replacing(folder / "annotations.xml") as file:
        file.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        file.write(b"  <version>1.1</version>\n")
        file.write(encode(_meta(dataset), level=1))
        for number, annotation in enumerate(dataset):
            file.write(encode(_image(annotation, number, dataset, masks), level=1))
            split = dataset.split_of(annotation) if dataset.splits else ""
            place(annotation.image, folder / "images" / split / key_of(annotation.image), pictures)
        file.write(b"</annotations>\n")


def _meta(dataset: Dataset) -> Element:
    meta = Element("meta")
    if dataset.splits:
        owner = child(meta, "project")
        child(owner, "name", "grounded-ram")
        tasks = child(owner, "tasks")
        sizes = Counter(dataset.split_of(annotation) for annotation in dataset)
        for split in dataset.split_names:
            _describe_task(child(tasks, "task"), split, sizes[split])
            child(tasks[-1], "subset", split)
    else:
        owner = child(meta, "task")
        _describe_task(owner, "grounded-ram", len(dataset))
    labels = child(owner, "labels")
    for name in dataset.classes:
        label = child(labels, "label")
        child(label, "name", name)
        attributes = child(label, "attributes")
        for key in ATTRIBUTES:
            attribute = child(attributes, "attribute")
            told = {"name": key, "mutable": "False", "input_type": "text", "default_value": ""}
            for tag, text in {**told, "values": ""}.items():
                child(attribute, tag, text)
    return meta


def _describe_task(task: Element, name: str, size: int) -> None:
    for tag, text in {"name": name, "size": size, "mode": "annotation", "overlap": 0}.items():
        child(task, tag, text)


def _image(annotation: Annotation, number: int, dataset: Dataset, masks: MaskFormat) -> Element:
    height, width = annotation.image.size_hw
    image = Element("image", {"id": str(number), "name": key_of(annotation.image)})
    if dataset.splits:
        image.set("subset", dataset.split_of(annotation))
    image.set("width", str(width))
    image.set("height", str(height))
    for row in range(len(annotation.detections)):
        region = shapes.region_of(annotation.masks, row)
        if region is None:
            continue
        for item in [_mask(region)] if masks == "rle" else _polygons(region, row + 1):
            item.set("label", str(annotation.detections.data["class_name"][row]))
            item.set("source", "auto")
            item.set("occluded", "0")
            item.set("z_order", "0")
            for key, told in scores(annotation, row).items():
                text = told if isinstance(told, float) else json.dumps(told, ensure_ascii=False)
                child(item, "attribute", text, name=key)
            image.append(item)
    return image


def _mask(region: Region) -> Element:
    """Return the run lengths of the tight box, row by row, the first one of pixels not set."""
    height, width = region.pixels.shape
    line = region.pixels.ravel()
    turns = np.flatnonzero(line[1:] != line[:-1]) + 1
    counts = np.diff(turns, prepend=0, append=len(line)).tolist()
    if line[0]:
        counts.insert(0, 0)
    box = {"left": region.x, "top": region.y, "width": width, "height": height}
    return Element(
        "mask", {"rle": ", ".join(map(str, counts)), **{k: str(v) for k, v in box.items()}}
    )


def _polygons(region: Region, group: int) -> list[Element]:
    lines = shapes.polygons(region)
    shared = {"group_id": str(group)} if len(lines) > 1 else {}
    return [
        Element("polygon", {"points": ";".join(f"{x},{y}" for x, y in _pairs(line)), **shared})
        for line in lines
    ]


def _pairs(line: list[int]) -> list[list[int]]:
    pairs: list[list[int]] = np.array(line).reshape(-1, 2).tolist()
    return pairs
