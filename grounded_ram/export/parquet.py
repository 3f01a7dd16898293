"""Parquet files that Hugging Face ``datasets`` loads with all features named.

    data/train-00000.parquet ...    the images of a split
    README.md                       the dataset card, which names the splits

``datasets.load_dataset(FOLDER)`` reads it, and so does any reader of Parquet. A row is an image::

    image           its file's own bytes; written anew where the file has to be turned upright
    file_name, width, height, sha256, caption
    objects         lists with one item an object: bbox (x, y, width, height), category (a
                    ``ClassLabel``), area, segmentation, and the scores, None where nobody gave one
    tags            lists with one item a tag: name, score, kind

A segmentation is COCO's run lengths, ``size`` and ``counts``, or with ``masks="polygon"`` a list of
polygons. With ``pictures="none"`` there is no ``image``. Other names of objects are not told.
"""

from __future__ import annotations

import html
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import yaml

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation, ImageFacts
from grounded_ram.errors import MissingDependencyError
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures, place

SHARD_IMAGES = 1000
"""How many images a file holds."""

GROUP_IMAGES = 100
"""How many images a row group holds at most: the least that a reader must read."""

GROUP_BYTES = 64_000_000
"""A row group ends with the image that makes its pictures larger."""

Feature: TypeAlias = Any
"""How ``datasets`` describes a column, in plain values."""

Row: TypeAlias = dict[str, Any]

_SCORES = (*SCORE_COLUMNS, *OPTIONAL_SCORES)


def export_parquet(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write shards and the dataset card; see ``export.exporter.Exporter``.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    features = _features(dataset.classes, masks, with_image=pictures != "none")
    ids = {name: number for number, name in enumerate(dataset.classes)}
    with ExitStack() as stack:
        shards = {
            split: stack.enter_context(_Shards(folder / "data" / split, features))
            for split in dataset.split_names or ("train",)
        }
        for annotation in dataset:
            row = _row(annotation, masks, ids)
            picture = _read(annotation.image) if pictures != "none" else b""
            if picture:
                row["image"] = {"bytes": picture, "path": row["file_name"]}
            shards[dataset.split_of(annotation)].add(row, len(picture))
    card = _card(dataset, {split: one.images for split, one in shards.items() if one.images})
    with replacing(folder / "README.md") as file:
        file.write(card.encode())


class _Shards(AbstractContextManager["_Shards"]):
    """The files of one split; none without an image, as ``datasets`` cannot load empty splits.

    Args:
        path: what their names begin with.
        features: the columns.
    """

    def __init__(self, path: Path, features: Mapping[str, Feature]) -> None:
        self._arrow, self._parquet = _pyarrow()
        told = json.dumps({"info": {"features": features}})
        self._schema = self._arrow.schema(
            [(name, _arrow_type(self._arrow, feature)) for name, feature in features.items()],
            metadata={"huggingface": told},
        )
        self._path = path
        self._rows: list[Row] = []
        self._bytes = 0
        self._writer: Any = None
        self.images = 0

    def add(self, row: Row, size: int) -> None:
        """Add an image, whose picture has a size in bytes."""
        self._rows.append(row)
        self._bytes += size
        self.images += 1
        full = self.images % SHARD_IMAGES == 0
        if full or len(self._rows) == GROUP_IMAGES or self._bytes >= GROUP_BYTES:
            self._write_group()
        if full:
            self._end_file()

    def _write_group(self) -> None:
        if self._writer is None:
            number = (self.images - 1) // SHARD_IMAGES
            self._path.parent.mkdir(parents=True, exist_ok=True)
            path = self._path.with_name(f"{self._path.name}-{number:05d}.parquet")
            self._writer = self._parquet.ParquetWriter(path, self._schema)
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0

    def _end_file(self) -> None:
        self._writer.close()
        self._writer = None

    def __exit__(self, *_: object) -> None:
        if self._rows:
            self._write_group()
        if self._writer is not None:
            self._end_file()


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "format 'parquet' needs pyarrow; try: pip install 'grounded-ram[datasets]'"
        ) from error


def _features(classes: Sequence[str], masks: MaskFormat, *, with_image: bool) -> dict[str, Feature]:
    """Describe the columns, in words that every version of ``datasets`` knows."""
    rle = [{"size": _many(_value("int32"), 2), "counts": _value("string")}]
    polygons = _many(_many(_many(_value("float32"))))
    return {
        **({"image": {"_type": "Image"}} if with_image else {}),
        "file_name": _value("string"),
        "width": _value("int32"),
        "height": _value("int32"),
        "sha256": _value("string"),
        "caption": _value("string"),
        "objects": {
            "bbox": _many(_many(_value("float32"), 4)),
            "category": _many({"_type": "ClassLabel", "names": list(classes)}),
            "area": _many(_value("int64")),
            "segmentation": rle if masks == "rle" else polygons,
            **{name: _many(_value("float32")) for name in _SCORES},
        },
        "tags": {
            "name": _many(_value("string")),
            "score": _many(_value("float32")),
            "kind": _many(_value("string")),
        },
    }


def _value(dtype: str) -> Feature:
    return {"_type": "Value", "dtype": dtype}


def _many(feature: Feature, length: int = -1) -> Feature:
    return {"_type": "Sequence", "feature": feature, "length": length}


def _arrow_type(arrow: ModuleType, feature: Feature) -> Any:
    """Return the type in which ``datasets`` keeps a column of this description."""
    if isinstance(feature, list):
        return arrow.list_(_arrow_type(arrow, feature[0]))
    match feature.get("_type"):
        case "Image":
            return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        case "ClassLabel":
            return arrow.int64()
        case "Value":
            return getattr(arrow, feature["dtype"])()
        case "Sequence":
            return arrow.list_(_arrow_type(arrow, feature["feature"]), feature["length"])
    return arrow.struct([(name, _arrow_type(arrow, one)) for name, one in feature.items()])


def _row(annotation: Annotation, masks: MaskFormat, ids: Mapping[str, int]) -> Row:
    height, width = annotation.image.size_hw
    tags = annotation.tags
    objects = list(_objects(annotation, masks, ids))
    return {
        "file_name": key_of(annotation.image),
        "width": width,
        "height": height,
        "sha256": annotation.image.sha256,
        "caption": annotation.caption,
        "objects": {name: [one.get(name) for one in objects] for name in (*_SHAPE, *_SCORES)},
        "tags": {"name": list(tags.names), "score": tags.scores.tolist(), "kind": list(tags.kinds)},
    }


_SHAPE = ("bbox", "category", "area", "segmentation")


def _objects(
    annotation: Annotation, masks: MaskFormat, ids: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for row, name in enumerate(np.asarray(annotation.detections.data["class_name"]).tolist()):
        region = shapes.region_of(annotation.masks, row)
        if region is not None:
            yield {
                "bbox": shapes.bbox_xywh(region),
                "category": ids[name],
                "area": shapes.area(region),
                "segmentation": (
                    shapes.rle(region, annotation.image.size_hw)
                    if masks == "rle"
                    else shapes.polygons(region)
                ),
                **scores(annotation, row),
            }


def _read(image: ImageFacts) -> bytes:
    """Return the picture as a file, upright."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{Path(image.name).suffix}"
        place(image, path, "copy")
        return path.read_bytes()


def _card(dataset: Dataset, images: Mapping[str, int]) -> str:
    """Return the dataset card: the splits for ``datasets``, and for people what there is."""
    config = {
        "config_name": "default",
        "data_files": [
            {"split": split, "path": f"data/{split}-[0-9][0-9][0-9][0-9][0-9].parquet"}
            for split in images
        ],
    }
    head = {"configs": [config], "task_categories": ["object-detection", "image-segmentation"]}
    rows = [(_cell(name), dataset.kinds[name], dataset.objects[name]) for name in dataset.classes]
    lines = [
        "---",
        yaml.safe_dump(head, allow_unicode=True, sort_keys=False).rstrip(),
        "---",
        "",
        "Labelled automatically by grounded-ram.",
        "",
        *_table(("split", "images"), list(images.items())),
        "",
        *_table(("class", "kind", "objects"), rows),
    ]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(map(str, row))} |"


def _cell(name: str) -> str:
    """Write a name so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]~|#])", r"\\\1", html.escape(" ".join(name.split())))
