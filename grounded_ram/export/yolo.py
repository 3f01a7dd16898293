"""YOLO datasets as ultralytics reads them: segments, or boxes.

```text
data.yaml                       names of the classes by number from 0, folders of the splits
images/SPLIT/FOLDER/NAME.jpg    the pictures
labels/SPLIT/FOLDER/NAME.txt    one line an object; empty where the picture shows none
```

Coordinates are parts of the picture's width and height. Objects with an empty mask are left out;
scores have no place in this format. Of pictures, ultralytics reads those whose names end as the
usual ones do, such as .jpg, .png, .webp and .tif, and passes over others, such as .gif.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import yaml
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation
from grounded_ram.export import shapes
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures, place
from grounded_ram.export.places import Places
from grounded_ram.export.shapes import Region
from grounded_ram.export.single_outline import single_outline

Shape: TypeAlias = Callable[[Region, NDArray[np.float64]], NDArray[np.float64]]
"""Turns a region into the numbers of its line; also gets the picture's width and height."""


def export_yolo_segment(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write objects as polygons; see ``export.exporter.Exporter``.

    The format has one polygon for an object and no holes; ``single_outline`` says how masks fit in.
    What ultralytics paints of it is exact, holes too, but for lines one pixel wide from part to
    part of a mask that has several. Boxes made of it are exact to a tenth of a pixel. ``masks`` has
    no meaning here.
    """
    _export(dataset, folder, pictures, _segment)


def export_yolo_detect(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write objects as boxes tight around their masks; see ``export.exporter.Exporter``.

    ``masks`` has no meaning here.
    """
    _export(dataset, folder, pictures, _box)


def _export(dataset: Dataset, folder: Path, pictures: Pictures, shape: Shape) -> None:
    numbers = {name: number for number, name in enumerate(dataset.classes)}
    # A reader finds the labels by the last "images" of the picture's path.
    splits = dataset.split_names or ("train",)
    places = {split: Places(reserved={"images"}) for split in splits}
    for split in splits:
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    for annotation in dataset:
        split = dataset.split_of(annotation)
        name = places[split].of(key_of(annotation.image))
        place(annotation.image, folder / "images" / split / name, pictures)
        with replacing((folder / "labels" / split / name).with_suffix(".txt")) as file:
            file.write(_lines(annotation, numbers, shape).encode())
    with replacing(folder / "data.yaml") as file:
        file.write(_description(splits, dataset.classes).encode())


def _lines(annotation: Annotation, numbers: dict[str, int], shape: Shape) -> str:
    height, width = annotation.image.size_hw
    lines = []
    for row, name in enumerate(annotation.detections.data["class_name"]):
        region = shapes.region_of(annotation.masks, row)
        if region is not None:
            parts = shape(region, np.array([width, height], float))
            values = " ".join(f"{part:.7f}" for part in parts)
            lines.append(f"{numbers[str(name)]} {values}\n")
    return "".join(lines)


def _segment(region: Region, size_wh: NDArray[np.float64]) -> NDArray[np.float64]:
    return (single_outline(region) / size_wh).ravel()


def _box(region: Region, size_wh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centre's x and y, the width and the height."""
    x, y, width, height = shapes.bbox_xywh(region)
    corner, size = np.array([x, y]), np.array([width, height])
    return np.concatenate([(corner + size / 2) / size_wh, size / size_wh])


def _description(splits: tuple[str, ...], classes: tuple[str, ...]) -> str:
    """Return data.yaml; without ``path``, which stands for its own folder, wherever that is."""
    folders = {split: f"images/{split}" for split in splits}
    notes = []
    for needed in ("train", "val"):  # ultralytics refuses a dataset that lacks one of them
        if needed not in folders:
            folders[needed] = folders.get("train", f"images/{splits[0]}")
            notes.append(f"# There is no split {needed!r}: it says {folders[needed]} instead.\n")
    value = {**folders, "names": dict(enumerate(classes))}
    return "".join(notes) + yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
