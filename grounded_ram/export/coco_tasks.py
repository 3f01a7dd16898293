"""COCO's files for tasks other than objects: what they have in common.

    annotations/TASK_SPLIT.json     images, annotations, categories and info of one split
    images/SPLIT/                   its pictures

Without splits all is ``train``. Ids count from 1 in each file.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from grounded_ram.annotation import Annotation
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.files import json_bytes, replacing
from grounded_ram.export.pictures import Pictures, place

Item: TypeAlias = dict[str, Any]
Add: TypeAlias = Callable[[Annotation, Sequence[Item]], None]
"""Writes one image and what is said of it."""


def write_task(
    task: str,
    dataset: Dataset,
    folder: Path,
    *,
    told: Callable[[Annotation], Sequence[Item]],
    pictures: Pictures,
    categories: Sequence[Item] | None = None,
) -> None:
    """Write the files of all splits, one image at a time.

    Args:
        task: how the files' names begin.
        dataset: what to write.
        folder: where to.
        told: returns what is said of an image, without ids.
        pictures: how pictures come along.
        categories: None where the task has none.
    """
    rest = {
        **({} if categories is None else {"categories": categories}),
        "info": {"description": "labelled automatically by grounded-ram"},
        "licenses": [],
    }
    annotations = folder / "annotations"
    with ExitStack() as stack:
        files = {
            split: stack.enter_context(_opened(annotations / f"{task}_{split}.json", rest))
            for split in dataset.split_names or ("train",)
        }
        for annotation in dataset:
            split = dataset.split_of(annotation)
            files[split](annotation, told(annotation))
            image = annotation.image
            place(image, folder / "images" / split / key_of(image), pictures)


@contextmanager
def _opened(path: Path, rest: Item) -> Iterator[Add]:
    """Open a file that appears once the block ends; no image is kept in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file, tempfile.TemporaryFile(dir=path.parent) as spool:
        images = annotations = 0

        def add(annotation: Annotation, items: Sequence[Item]) -> None:
            nonlocal images, annotations
            images += 1
            height, width = annotation.image.size_hw
            name = key_of(annotation.image)
            image = {"id": images, "file_name": name, "height": height, "width": width}
            file.write(_line(image, images))
            for item in items:
                annotations += 1
                spool.write(_line({"id": annotations, "image_id": images, **item}, annotations))

        file.write(b'{"images": [')
        yield add
        file.write(b'],\n"annotations": [')
        spool.seek(0)
        shutil.copyfileobj(spool, file)
        file.write(b"],\n" + json_bytes(rest)[1:])


def _line(item: Mapping[str, Any], number: int) -> bytes:
    return (b"\n" if number == 1 else b",\n") + json_bytes(item)
