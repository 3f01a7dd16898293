"""Hugging Face: a callable that answers as the pipelines of transformers do, and ``datasets``.

    pipe = GroundedRAMPipeline("standard")
    pipe("street.jpg")  # [{"score": 0.9, "label": "car", "box": {"xmin": ...}, "mask": ...}, ...]
    pipe("street.jpg", candidate_labels=["car", "traffic light"])

    columns = AddLabels(GroundedRAM("standard"))
    dataset = dataset.map(columns, batched=True, features=columns.features(dataset))

It needs no transformers of its own: what a pipeline takes and gives is plain Python and PIL.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import PIL.Image

from grounded_ram.annotation import SCORE_COLUMNS, Annotation
from grounded_ram.errors import InputError
from grounded_ram.export import shapes
from grounded_ram.images import ImageSource
from grounded_ram.integrations.bases import needed
from grounded_ram.names import unknown_name
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.presets import Preset

Found: TypeAlias = "dict[str, Any]"
"""One object: ``score``, ``label``, and ``box`` or ``mask`` or both."""

KEYS = {
    "object-detection": ("score", "label", "box"),
    "zero-shot-object-detection": ("score", "label", "box"),
    "image-segmentation": ("score", "label", "mask"),
    None: ("score", "label", "box", "mask"),
}
"""What an object has, by the task whose pipeline is stood in for."""


class GroundedRAMPipeline:
    """Answers as ``transformers.pipeline(task)`` does: a list of dicts for each picture.

    An object is ``{"score": float, "label": str, "box": {"xmin": int, "ymin": int, "xmax": int,
    "ymax": int}, "mask": PIL.Image}``, the mask being a picture of mode "L" and of the image's
    size, 255 on the object; the score is the box score. The best come first.

    Args:
        model: a GroundedRAM, or the preset that makes one.
        task: "object-detection", "zero-shot-object-detection" or "image-segmentation" to get the
            keys of that pipeline alone; None for all of them.
        batch_size: pictures that are annotated at once; None means those of the model.

    Raises:
        UnknownNameError: no such task or preset.
        InputError: the batch size is below 1.
    """

    def __init__(
        self,
        model: GroundedRAM | str | Preset | None = None,
        *,
        task: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        if task not in KEYS:
            raise unknown_name("task", str(task), [name for name in KEYS if name])
        self.model = model if isinstance(model, GroundedRAM) else GroundedRAM(model)
        self.task = task
        self.batch_size = _at_least_one(batch_size, self.model.batch_size)

    def __call__(
        self,
        images: Any,
        *,
        candidate_labels: str | Sequence[str] | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Find the objects of pictures.

        Args:
            images: a picture, as a path, a URL, a PIL image, bytes or a tensor: the answer is a
                list of objects. A list or a tuple of them: a list of such lists. Any other
                iterable, such as a generator or ``KeyDataset``: a generator of such lists, which
                reads as far as it is asked. In place of a picture there may be a dict with
                ``image`` and its own ``candidate_labels``.
            candidate_labels: what to look for instead of asking the tagger: names in a list, or in
                one text with commas between them.
            threshold: keep objects of a higher score; below the model's own box threshold it
                changes nothing.
            top_k: keep so many of each picture.
            batch_size: instead of the pipeline's own.

        Raises:
            InputError: a picture or the labels cannot be used. A numpy array does not say whether
                it is RGB: give ``PIL.Image.fromarray(rgb)``.
        """
        size, labels = _at_least_one(batch_size, self.batch_size), _names(candidate_labels)
        if self.task == "zero-shot-object-detection" and labels is None:
            labels = ()  # each picture must bring its own

        def answers(given: Iterable[Any]) -> Iterator[list[Found]]:
            for one in self._annotations(iter(given), labels, size):
                yield self._answer(one, threshold, top_k)

        if _is_one(images):
            return next(answers([images]))
        if isinstance(images, list | tuple):
            return list(answers(images))
        if not isinstance(images, Iterable) and not hasattr(images, "__getitem__"):
            raise InputError(f"images: expected a picture or several, got {type(images).__name__}")
        return answers(images if isinstance(images, Iterable) else _indexed(images))

    def _annotations(
        self, given: Iterator[Any], labels: Sequence[str] | None, size: int
    ) -> Iterator[Annotation]:
        """Annotate in batches; those of a batch go together if they have the same labels."""
        while batch := list(islice(given, size)):
            pairs = [_taken_apart(one, labels) for one in batch]
            same = all(names == pairs[0][1] for _, names in pairs)
            for group in [pairs] if same else [[pair] for pair in pairs]:
                pictures, (names, *_) = zip(*group, strict=True)
                yield from self.model.annotate_batch(pictures, tags=names)

    def _answer(
        self, annotation: Annotation, threshold: float | None, top_k: int | None
    ) -> list[Found]:
        found = annotation.detections
        scores = np.asarray(found.confidence)
        rows = np.argsort(-scores, kind="stable").tolist()
        kept = [row for row in rows if threshold is None or scores[row] > threshold][:top_k]
        keys = KEYS[self.task]
        return [{key: _PARTS[key](annotation, row) for key in keys} for row in kept]


def _score(annotation: Annotation, row: int) -> float:
    return float(np.asarray(annotation.detections.confidence)[row])


def _label(annotation: Annotation, row: int) -> str:
    return str(annotation.detections.data["class_name"][row])


def _box(annotation: Annotation, row: int) -> dict[str, int]:
    sides = annotation.detections.xyxy[row].astype(int).tolist()
    return dict(zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True))


def _mask(annotation: Annotation, row: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(annotation.masks[row].astype(np.uint8) * 255)


_PARTS = {"score": _score, "label": _label, "box": _box, "mask": _mask}


def _at_least_one(given: int | None, usual: int) -> int:
    if given is not None and (type(given) is not int or given < 1):
        raise InputError(f"batch_size: expected a whole number from 1 on, got {given!r}")
    return usual if given is None else given


def _names(labels: str | Sequence[str] | None) -> Sequence[str] | None:
    return [one.strip() for one in labels.split(",")] if isinstance(labels, str) else labels


def _is_one(images: Any) -> bool:
    alone = (str, os.PathLike, bytes, bytearray, PIL.Image.Image, np.ndarray, Mapping)
    return isinstance(images, alone) or hasattr(images, "read") or getattr(images, "ndim", 0) == 3


def _taken_apart(
    one: Any, labels: Sequence[str] | None
) -> tuple[ImageSource, Sequence[str] | None]:
    """Return a picture and what to look for in it."""
    if isinstance(one, Mapping):
        if "image" not in one:
            raise InputError(f"expected a dict with 'image', got the keys {sorted(map(str, one))}")
        labels = _names(one.get("candidate_labels", labels))
        one = one["image"]
    if labels is not None and not len(labels):
        raise InputError('candidate_labels: expected names to look for, as in ["car", "dog"]')
    if isinstance(one, np.ndarray):
        raise InputError(
            "a numpy array does not say whether it is RGB or BGR; give "
            "PIL.Image.fromarray(rgb), or use GroundedRAM.annotate(array, color=...)"
        )
    if isinstance(one, str) and one.startswith("data:image/"):
        one = _decoded(one)
    return one, labels


def _decoded(text: str) -> bytes:
    """Return the picture that a text holds itself, which transformers takes too."""
    try:
        return b64decode(text.partition(",")[2], validate=True)
    except ValueError as error:
        raise InputError(f"cannot read the picture in the text {text[:40]!r}: {error}") from error


def _indexed(images: Any) -> Iterator[Any]:
    """Go through what has a length and items by number, as datasets of torch."""
    return (images[place] for place in range(len(images)))


class AddLabels:
    """Adds tags, boxes and masks to a ``datasets.Dataset``: a function for ``map(batched=True)``.

    The columns are those of the format ``parquet``, but that ``category`` is a name: ``tags`` has
    ``name``, ``score`` and ``kind``; ``objects`` has ``bbox`` (x, y, width, height, tight around
    the mask), ``category``, ``area``, ``segmentation`` (COCO's run lengths) and the scores.
    Pickling it takes the model's choices along and not its weights, so that ``datasets`` finds what
    it cached for the same choices, and ``num_proc`` may be used.

    Args:
        model: annotates.
        tags: words to look for instead of asking the tagger.
        image_column: where the pictures are, as ``datasets.Image`` has them, decoded or not.
    """

    def __init__(
        self,
        model: GroundedRAM,
        *,
        tags: Sequence[str] | None = None,
        image_column: str = "image",
    ) -> None:
        self.model = model
        self.tags = tags
        self.image_column = image_column

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return the new columns of a batch of rows.

        Raises:
            InputError: there is no such column, or one of its pictures cannot be used.
        """
        if self.image_column not in batch:
            raise InputError(
                f"image_column: no column {self.image_column!r}; there are {', '.join(batch)}"
            )
        column, size = batch[self.image_column], self.model.batch_size
        if not isinstance(column, list):
            raise InputError("expected a batch of rows; write map(..., batched=True)")
        pictures = [_picture(one) for one in column]
        found = [
            annotation
            for start in range(0, len(pictures), size)
            for annotation in self.model.annotate_batch(
                pictures[start : start + size], tags=self.tags
            )
        ]
        return {"tags": [*map(_tags, found)], "objects": [*map(_objects, found)]}

    def features(self, dataset: Any) -> Any:
        """Return the ``datasets.Features`` of a dataset with the new columns.

        Args:
            dataset: a ``datasets.Dataset``, or its features.

        Raises:
            MissingDependencyError: ``datasets`` is not installed.
        """
        hub = needed("datasets", what="AddLabels", install="pip install 'grounded-ram[datasets]'")
        text, number = hub.Value("string"), hub.Value("float32")
        rle = {"size": hub.Sequence(hub.Value("int32"), length=2), "counts": text}
        objects = {
            "bbox": hub.Sequence(hub.Sequence(number, length=4)),
            "category": hub.Sequence(text),
            "area": hub.Sequence(hub.Value("int64")),
            "segmentation": [rle],
            **{name: hub.Sequence(number) for name in SCORE_COLUMNS},
        }
        tags = {"name": [text], "score": [number], "kind": [text]}
        had = getattr(dataset, "features", dataset)
        return hub.Features({**had, "tags": tags, "objects": objects})


def _picture(one: Any) -> ImageSource:
    """Return a picture as ``datasets.Image`` has it, decoded or not."""
    found: ImageSource = (one["bytes"] or one["path"]) if isinstance(one, Mapping) else one
    return found


def _tags(annotation: Annotation) -> dict[str, list[Any]]:
    tags = annotation.tags
    return {"name": [*tags.names], "score": tags.scores.tolist(), "kind": [*tags.kinds]}


def _objects(annotation: Annotation) -> dict[str, list[Any]]:
    found = annotation.detections
    regions = [shapes.region_of(annotation.masks, row) for row in range(len(found))]
    kept = [(row, region) for row, region in enumerate(regions) if region is not None]
    size_hw = annotation.image.size_hw
    return {
        "bbox": [shapes.bbox_xywh(region) for _, region in kept],
        "category": [str(found.data["class_name"][row]) for row, _ in kept],
        "area": [shapes.area(region) for _, region in kept],
        "segmentation": [shapes.rle(region, size_hw) for _, region in kept],
        **{name: [float(found.data[name][row]) for row, _ in kept] for name in SCORE_COLUMNS},
    }
