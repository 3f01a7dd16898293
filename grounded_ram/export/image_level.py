"""What is said of whole images, in COCO's files: captions, and tags.

    annotations/captions_train.json     "coco-captions", as COCO's captioning task has it
    annotations/labels_train.json       "coco-tags", as Datumaro and CVAT write labels of images
    images/train/                       the pictures

There is one file for each split; without splits all is ``train``.

COCO itself has no tags of images. Of the layouts in use this one is closest to it: an annotation
has an image and a category, and no place. It has the tag's ``score`` and ``kind`` too. Categories
are all tags that any image has, sorted, whether they have an object or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation
from grounded_ram.export.coco_tasks import write_task
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.pictures import Pictures

_DIGITS = 6


def export_captions(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write the captions; see ``export.exporter.Exporter``. ``masks`` changes nothing.

    Images without a caption are listed and have no annotation.
    """

    def told(annotation: Annotation) -> list[dict[str, Any]]:
        return [{"caption": annotation.caption}] if annotation.caption.strip() else []

    write_task("captions", dataset, folder, told=told, pictures=pictures)


def export_tags(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write the tags; see ``export.exporter.Exporter``. ``masks`` changes nothing."""
    kinds: dict[str, str] = {}
    for annotation in dataset:
        for name, kind in zip(annotation.tags.names, annotation.tags.kinds, strict=True):
            kinds.setdefault(name, kind)
    ids = {name: number for number, name in enumerate(sorted(kinds), start=1)}

    def told(annotation: Annotation) -> list[dict[str, Any]]:
        tags = annotation.tags
        return [
            {"category_id": ids[name], "score": round(float(score), _DIGITS), "kind": kind}
            for name, score, kind in zip(tags.names, tags.scores, tags.kinds, strict=True)
        ]

    categories = [{"id": ids[name], "name": name, "supercategory": kinds[name]} for name in ids]
    write_task("labels", dataset, folder, told=told, pictures=pictures, categories=categories)
