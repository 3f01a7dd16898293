"""COCO datasets: one JSON file for one image or for a whole folder.

Ids count from 1. Categories are the names that have an object in the dataset, sorted, with the
tag's kind as ``supercategory``. ``area`` counts mask pixels, ``bbox`` is tight around them,
``iscrowd`` is always 0. Objects with an empty mask are left out; images without objects stay in.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, TypeAlias, get_args

import numpy as np

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import json_bytes, plain, replacing
from grounded_ram.export.pictures import Pictures

FILE_NAME = "annotations.coco.json"
"""What a folder's COCO file is called; with splits, each begins with the name of its split."""

Add: TypeAlias = Callable[[Annotation], None]
"""Writes one image."""


def to_coco(
    annotations: Sequence[Annotation],
    *,
    masks: MaskFormat = "rle",
    root: str | Path | None = None,
) -> dict[str, Any]:
    """Return images and their objects as one COCO dataset, in plain Python values.

    Args:
        annotations: the images, in the order in which they are numbered; may be empty.
        masks: "rle" is compact; "polygon" can be edited in other tools, and is cut at holes. Both
            give back the same pixels in pycocotools; readers that paint a polygon's border too, as
            supervision does, add one row and one column.
        root: ``file_name`` is each image's path relative to this folder; None means its bare name.
            Images that have a ``file_name`` keep it.

    Raises:
        InputError: an image lies outside ``root``, or two images would have one ``file_name``.
    """
    ledger = _Ledger(masks, root)
    images, objects = [], []
    for annotation in annotations:
        image, found = ledger.enter(annotation)
        images.append(image)
        objects.extend(found)
    ids = ledger.category_ids()
    for item in objects:
        item["category_id"] = ids[item["category_id"]]
    return {**ledger.closing(), "images": images, "annotations": objects}


def write_coco(
    annotations: Iterable[Annotation],
    path: str | Path,
    *,
    masks: MaskFormat = "rle",
    root: str | Path | None = None,
) -> int:
    """Write what ``to_coco`` returns, one image at a time, so that a dataset of any size fits.

    Returns:
        How many images were written.
    """
    count = 0
    with open_coco(path, masks=masks, root=root) as add:
        for annotation in annotations:
            add(annotation)
            count += 1
    return count


@contextmanager
def open_coco(
    path: str | Path,
    *,
    masks: MaskFormat = "rle",
    root: str | Path | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Iterator[Add]:
    """Open a COCO file to add images to, one by one; other arguments as for ``to_coco``.

    Args:
        path: the file.
        masks: how shapes are written.
        root: what file names are relative to.
        kinds: the categories and their kinds; None means those that have an object in the file.

    Neither the images nor their objects are kept in memory. The file appears once the block ends;
    if that raises, an older file of that name stays as it was.
    """
    ledger = _Ledger(masks, root, kinds)
    path = Path(path)
    with replacing(path) as file, tempfile.TemporaryFile(dir=path.parent) as spool:

        def add(annotation: Annotation) -> None:
            image, found = ledger.enter(annotation)
            file.write(_separator(ledger.images) + json_bytes(image))
            spool.writelines(json_bytes(item) + b"\n" for item in found)

        file.write(b'{"images": [')
        yield add
        file.write(b'],\n"annotations": [')
        spool.seek(0)
        _copy_objects(spool, file, ledger.category_ids())
        file.write(b"],\n" + json_bytes(ledger.closing())[1:])


def export_coco(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "none"
) -> None:
    """Write one COCO file, or one for each split; see ``export.exporter.Exporter``.

    COCO files name the pictures and do not hold them.
    """
    with ExitStack() as stack:

        def opened(name: str) -> Add:
            file = open_coco(folder / name, masks=masks, kinds=dataset.kinds)
            return stack.enter_context(file)

        if not dataset.splits:
            files = {"train": opened(FILE_NAME)}
        else:
            files = {name: opened(f"{name}.coco.json") for name in dataset.split_names}
        for annotation in dataset:
            files[dataset.split_of(annotation)](annotation)


class _Ledger:
    """Numbers images and objects as they come, and keeps what the whole file must know."""

    def __init__(
        self,
        masks: MaskFormat,
        root: str | Path | None,
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        if masks not in get_args(MaskFormat):
            raise InputError(f"masks: expected one of {get_args(MaskFormat)}, got {masks!r}")
        self.masks = masks
        self.root = None if root is None else Path(root)
        self.images = 0
        self.objects = 0
        self.kinds: dict[str, str] = dict(kinds or {})
        self.digests: dict[str, str] = {}
        self.run: dict[str, Any] | None = None

    def enter(self, annotation: Annotation) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the image's record and its objects', with names in place of category ids."""
        facts = annotation.image
        self.images += 1
        run = plain(annotation.run)
        if self.run is None:
            self.run = run
        self.run = {key: value for key, value in self.run.items() if run.get(key) == value}
        image = {
            "id": self.images,
            "file_name": self._file_name(facts),
            "height": int(facts.size_hw[0]),
            "width": int(facts.size_hw[1]),
            "sha256": facts.sha256,
        }
        items = (self._object(annotation, row) for row in range(len(annotation.detections)))
        return image, [item for item in items if item is not None]

    def _object(self, annotation: Annotation, row: int) -> dict[str, Any] | None:
        found = annotation.detections
        region = shapes.region_of(annotation.masks, row)
        if region is None:
            return None
        name = str(found.data["class_name"][row])
        self.kinds.setdefault(name, _kind(annotation, row))
        self.objects += 1
        told = scores(annotation, row)
        return {
            "id": self.objects,
            "image_id": self.images,
            "category_id": name,
            "bbox": shapes.bbox_xywh(region),
            "area": shapes.area(region),
            "iscrowd": 0,
            "segmentation": (
                shapes.rle(region, annotation.image.size_hw)
                if self.masks == "rle"
                else shapes.polygons(region)
            ),
            "score": told["box_score"],
            **told,
        }

    def _file_name(self, facts: ImageFacts) -> str:
        name = _relative_name(facts, self.root)
        if self.digests.setdefault(name, facts.sha256) != facts.sha256:
            raise InputError(
                f"two images would be called {name!r} in the COCO file; "
                "give root=, the folder that their paths are relative to"
            )
        return name

    def category_ids(self) -> dict[str, int]:
        """Number the names seen so far, sorted, from 1."""
        return {name: number for number, name in enumerate(sorted(self.kinds), start=1)}

    def closing(self) -> dict[str, Any]:
        """Return what is known when all images were seen: info, licences, categories."""
        info = {
            "description": "labelled automatically by grounded-ram",
            "version": _version(),
            "run": self.run or {},
        }
        categories = [
            {"id": number, "name": name, "supercategory": self.kinds[name]}
            for name, number in self.category_ids().items()
        ]
        return {"info": info, "licenses": [], "categories": categories}


def _kind(annotation: Annotation, row: int) -> str:
    return annotation.tags.kinds[int(np.asarray(annotation.detections.class_id)[row])]


def _relative_name(facts: ImageFacts, root: Path | None) -> str:
    if facts.file_name is not None:
        return facts.file_name
    if root is None or facts.path is None or "://" in facts.path:
        return facts.name
    path = Path(facts.path)
    # As the paths are spelt, then with links and dots followed.
    for file, folder in ((path.absolute(), root.absolute()), (path.resolve(), root.resolve())):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    raise InputError(f"image {facts.path} is not inside root {root}")


def _version() -> str:
    try:
        return version("grounded-ram")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def _separator(number: int) -> bytes:
    return b"\n" if number == 1 else b",\n"


def _copy_objects(spool: IO[bytes], file: IO[bytes], ids: Mapping[str, int]) -> None:
    for number, line in enumerate(spool, start=1):
        item = json.loads(line)
        item["category_id"] = ids[item["category_id"]]
        file.write(_separator(number) + json_bytes(item))
