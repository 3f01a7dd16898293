"""Label Studio: tasks with predictions for people to review, and the labelling config they need.

    tasks-0001.json ...     lists of tasks, each file small enough to be imported
    config.xml              the project's labelling interface
    images/                 the pictures

An object is one brush region, exact to the pixel; with ``masks="polygon"`` it is one polygon region
for each of its parts, as Label Studio has no polygons of several parts or with holes. There are no
rectangles beside them: each would be one more region to review. Tags are chosen in a taxonomy,
kind by kind; the caption is a text to edit. A region's score is its ``label_score``; a task's is
the mean of its regions', so that the Data Manager sorts by it.

A project is made with the config first; then the tasks are imported. Label Studio serves the
pictures once ``LOCAL_FILES_SERVING_ENABLED=true``, ``LOCAL_FILES_DOCUMENT_ROOT`` is this folder,
and its ``images`` is added to the project as a local storage. In a container they must be copies.
With ``pictures="none"`` a folder ``images`` that holds them must be put there.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export import shapes
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures, place
from grounded_ram.overlay import color_of

FILE_BYTES = 100_000_000
"""A file of tasks ends with the task that makes it larger; uploads are limited to 200 MB."""

Shape: TypeAlias = MaskFormat | Literal["rectangle"]
"""What a region is drawn as."""

_DIGITS = 6
_SIDES = ("x", "y", "width", "height")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export_label_studio(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write tasks, labelling config and pictures; see ``export.exporter.Exporter``.

    Splits become a column ``split`` of the tasks.

    Raises:
        InputError: a name holds a character that the labelling config cannot.
    """
    tags: dict[str, set[str]] = {}
    captions = False
    for annotation in dataset:
        captions |= bool(annotation.caption)
        for name, kind in zip(annotation.tags.names, annotation.tags.kinds, strict=True):
            tags.setdefault(kind, set()).add(name)
    config = labelling_config(dataset.classes, tags, captions=captions, masks=masks)
    with replacing(folder / "config.xml") as file:
        file.write(config.encode())

    def tasks() -> Iterator[dict[str, Any]]:
        for number, annotation in enumerate(dataset, start=1):
            place(annotation.image, folder / "images" / key_of(annotation.image), pictures)
            task = to_task(annotation, number, masks)
            if dataset.splits:
                task["data"]["split"] = dataset.split_of(annotation)
            yield task

    _write_tasks(tasks(), folder)


def to_task(annotation: Annotation, number: int, masks: MaskFormat = "rle") -> dict[str, Any]:
    """Return the task of one image.

    Args:
        annotation: the image.
        number: makes the ids of its results unlike those of other tasks.
        masks: brushes or polygons.
    """
    tags, kind = annotation.tags, "brushlabels" if masks == "rle" else "polygonlabels"
    names = annotation.detections.data["class_name"]
    scores, regions = {}, []
    for row, part, value in shape_values(annotation, masks):
        value[kind] = [str(names[row])]
        told = {"from_name": "label", "to_name": "image", "type": kind, "value": value}
        regions.append({"id": f"{number}-{row}-{part}", **of_object(annotation, row), **told})
        scores[row] = regions[-1]["score"]
    prediction: dict[str, Any] = {
        "model_version": model_version(annotation.run),
        "result": [*regions, *_told(annotation, number)],
    }
    if scores:
        prediction["score"] = mean_score(scores.values())
    data = {
        "image": "/data/local-files/?d=" + quote(f"images/{key_of(annotation.image)}"),
        "tag_scores": {
            name: rounded(score) for name, score in zip(tags.names, tags.scores, strict=True)
        },
    }
    return {"data": data, "predictions": [prediction]}


def labelling_config(
    classes: Iterable[str],
    tags: Mapping[str, Iterable[str]],
    *,
    captions: bool,
    masks: MaskFormat = "rle",
) -> str:
    """Return the XML of a labelling interface in which all of the tasks can be shown.

    Args:
        classes: the names of objects.
        tags: the names of tags by their kind.
        captions: whether there is a caption to edit.
        masks: brushes or polygons.
    """
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    kind = "BrushLabels" if masks == "rle" else "PolygonLabels"
    labels = ET.SubElement(view, kind, name="label", toName="image")
    for name in classes:
        red, green, blue = color_of(name)
        ET.SubElement(labels, "Label", value=name, background=f"#{red:02x}{green:02x}{blue:02x}")
    if tags:
        taxonomy = ET.SubElement(view, "Taxonomy", name="tags", toName="image")
        for group in sorted(tags):
            branch = ET.SubElement(taxonomy, "Choice", value=group)
            for name in sorted(tags[group]):
                ET.SubElement(branch, "Choice", value=name)
    if captions:
        ET.SubElement(view, "TextArea", name="caption", toName="image", editable="true")
    ET.indent(view)
    text = ET.tostring(view, encoding="unicode")
    if wrong := _NOT_IN_XML.search(text):
        raise InputError(
            f"Label Studio's config.xml cannot hold the character {wrong.group()!r}, which a tag "
            "or a class has in its name; rename it in the vocabulary"
        )
    return text + "\n"


def brush_rle(region: shapes.Region, size_hw: tuple[int, int]) -> list[int]:
    """Return a mask as the bytes of Label Studio's run lengths.

    They are one stream of bits: the count of values in 32; the bits of a value less one in 5; four
    sizes of a length, in bits less one, in 4 each; then the runs. A run is the bit 1, the number of
    its size in 2, its length less one in so many bits, and its value. Values are the red, green,
    blue and alpha of all pixels, row by row: 255 in the mask, 0 outside of it.
    """
    height, width = size_hw
    strip = np.zeros((region.pixels.shape[0], width), bool)
    strip[:, region.x : region.x + region.pixels.shape[1]] = region.pixels
    line = np.pad(strip.ravel(), 1)
    turns = np.flatnonzero(line[1:] != line[:-1]) + region.y * width
    lengths = 4 * np.diff(turns, prepend=0, append=height * width)
    values = np.where(np.arange(len(lengths)) % 2, 255, 0)
    runs = _runs(lengths, values)
    header = f"{4 * height * width:032b}{8 - 1:05b}" + "".join(f"{s - 1:04b}" for s in _SIZES)
    bits = np.concatenate([np.array(list(header), np.uint8), runs])
    packed: list[int] = np.packbits(bits).tolist()
    return packed


_SIZES = np.array([3, 4, 8, 16])
"""How many bits a length may have: those that Label Studio itself uses."""


def _runs(lengths: NDArray[np.int_], values: NDArray[np.int_]) -> NDArray[np.uint8]:
    """Return runs as bits, one bit a byte; those too long for one code are cut."""
    longest = 2 ** int(_SIZES[-1])
    pieces = -(-lengths // longest)
    owner = np.repeat(np.arange(len(lengths)), pieces)
    left = lengths[owner] - longest * (np.arange(len(owner)) - (np.cumsum(pieces) - pieces)[owner])
    size = np.searchsorted(2**_SIZES, np.minimum(left, longest))
    width = _SIZES[size]
    code = ((4 + size) << width | np.minimum(left, longest) - 1) << 8 | values[owner]
    total = 3 + width + 8
    places = total[:, None] - 1 - np.arange(int(total.max()))
    bits = (code[:, None] >> np.maximum(places, 0) & 1).astype(np.uint8)
    found: NDArray[np.uint8] = bits[places >= 0]
    return found


def shape_values(annotation: Annotation, shape: Shape) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Return for each region the object's row, the number of its part, and a value without labels.

    Places are percents of the picture's width and height. Objects without pixels have no regions.
    """
    height, width = annotation.image.size_hw
    for row in range(len(annotation.detections)):
        region = shapes.region_of(annotation.masks, row)
        if region is None:
            continue
        if shape == "rle":
            yield row, 0, {"format": "rle", "rle": brush_rle(region, (height, width))}
        elif shape == "rectangle":
            sides = (np.array(shapes.bbox_xywh(region)) * 100 / ([width, height] * 2)).tolist()
            yield row, 0, {**dict(zip(_SIDES, sides, strict=True)), "rotation": 0}
        else:
            for part, outline in enumerate(shapes.polygons(region)):
                corners = np.reshape(outline, (-1, 2)) * 100 / [width, height]
                yield row, part, {"points": corners.tolist(), "closed": True}


def of_object(annotation: Annotation, row: int) -> dict[str, Any]:
    """Return what every region of an object tells: the picture's size and the label's score."""
    height, width = annotation.image.size_hw
    return {
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": rounded(annotation.detections.data["label_score"][row]),
    }


def mean_score(scores: Collection[float]) -> float:
    """Return the score of a task: the mean of its objects'."""
    return rounded(sum(scores) / len(scores))


def rounded(score: float) -> float:
    """Return a score as it is told."""
    return round(float(score), _DIGITS)


def _told(annotation: Annotation, number: int) -> Iterator[dict[str, Any]]:
    """Return the results that belong to the image as a whole."""
    tags = annotation.tags
    if len(tags):
        paths = [list(path) for path in zip(tags.kinds, tags.names, strict=True)]
        yield _whole(number, "tags", "taxonomy", {"taxonomy": paths})
    if annotation.caption:
        yield _whole(number, "caption", "textarea", {"text": [annotation.caption]})


def _whole(number: int, name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{number}-{name}",
        "from_name": name,
        "to_name": "image",
        "type": kind,
        "value": value,
    }


def _write_tasks(tasks: Iterator[dict[str, Any]], folder: Path) -> None:
    """Write lists of limited size; one of them, be it empty."""
    lines = (json.dumps(task, ensure_ascii=False, allow_nan=False).encode() for task in tasks)
    line = next(lines, None)
    number = 1
    while line is not None or number == 1:
        with replacing(folder / f"tasks-{number:04d}.json") as file:
            size = file.write(b"[")
            while line is not None and size < FILE_BYTES:
                size += file.write((b"\n" if size == 1 else b",\n") + line)
                line = next(lines, None)
            file.write(b"\n]\n")
        number += 1


def model_version(run: Mapping[str, Any]) -> str:
    """Return how Label Studio calls the maker of predictions.

    Args:
        run: as in ``Annotation.run``.
    """
    told = ("grounded-ram", run.get("version"), run.get("preset"))
    return " ".join(str(part) for part in told if part)
