"""FiftyOne: label a dataset there with GroundedRAM, and bring labels back from there.

    apply(GroundedRAM("standard"), dataset, label_field="ground_ram")

    dataset.apply_model(FiftyOneModel(GroundedRAM("standard")), label_field="ground_ram")

    export_coco(from_fiftyone(dataset, "ground_ram"), Path("labels"))

The first stores the objects in the field ``ground_ram`` and the tags in ``ground_ram_tags``; the
second, FiftyOne's own way, in ``ground_ram_objects`` and ``ground_ram_tags``. An object is a
``Detection`` with its mask, tight around it; its ``confidence`` is the box score, and all its
scores, its ``kind`` and its ``alternatives`` are attributes. A tag is a ``Classification`` with its
``kind``, and ``ungrounded``, why no object carries it, where none does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation, Tags
from grounded_ram.errors import InputError
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.found import Found, assemble, box_rle, facts, upright_size
from grounded_ram.integrations.bases import inherit, needed
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.run_lengths import run_lengths

OBJECTS, TAGS = "objects", "tags"
"""What the model calls its two labels: FiftyOne puts the name of the field before them."""

_INSTALL = "pip install fiftyone, in an environment of its own: it brings another OpenCV"


def apply(
    model: GroundedRAM,
    samples: Any,
    label_field: str = "ground_ram",
    *,
    tags: Sequence[str] | None = None,
    **options: Any,
) -> None:
    """Label the images, or the frames of the videos, of a FiftyOne dataset or view.

    Args:
        model: annotates.
        samples: a ``fiftyone.Dataset`` or a view of one.
        label_field: where the objects go; the tags go into ``LABEL_FIELD_tags``.
        tags: words to look for instead of asking the tagger.
        **options: as ``apply_model`` of the dataset has them, such as ``skip_failures=False``. Of
            its ``batch_size``, the model's is the usual one.

    Raises:
        MissingDependencyError: FiftyOne is not installed.
    """
    options = {"batch_size": model.batch_size, **options}
    fields = {OBJECTS: label_field, TAGS: f"{label_field}_tags"}
    samples.apply_model(_model_class()(model, tags=tags), label_field=fields, **options)
    _declare(samples, label_field)


def _declare(samples: Any, label_field: str) -> None:
    """Tell the dataset what the attributes are, so that FiftyOne's App can filter by them."""
    fields = needed("fiftyone.core.fields", what="apply", install=_INSTALL)
    number, text = fields.FloatField, fields.StringField
    objects = {**dict.fromkeys((*SCORE_COLUMNS, *OPTIONAL_SCORES), number), "kind": text}
    parents = {
        f"{label_field}.detections": objects,
        f"{label_field}_tags.classifications": {"kind": text, "ungrounded": text},
    }
    if not hasattr(samples, "add_sample_field"):  # a view has its dataset's fields
        samples = needed("fiftyone", what="apply", install=_INSTALL).load_dataset(
            samples.dataset_name
        )
    in_frames = samples.media_type == "video"
    add = samples.add_frame_field if in_frames else samples.add_sample_field
    schema = samples.get_frame_field_schema() if in_frames else samples.get_field_schema()
    for parent, attributes in parents.items():
        if parent.partition(".")[0] in schema:  # it is not where every image failed
            for name, kind in attributes.items():
                add(f"{parent}.{name}", kind)


class _FiftyOneModel:
    """A ``fiftyone.Model`` that annotates images.

    Args:
        model: does the work.
        tags: words to look for instead of asking the tagger.
    """

    media_type = "image"
    ragged_batches = False  # images of unlike size may come together
    transforms = None
    preprocess = False
    config = None

    def __init__(self, model: GroundedRAM, *, tags: Sequence[str] | None = None) -> None:
        self.model = model
        self.tags = tags

    def predict(self, arg: NDArray[np.uint8]) -> dict[str, Any]:
        """Annotate one image, (H, W, 3) RGB, as FiftyOne reads it: upright."""
        return self.predict_all([arg])[0]

    def predict_all(self, args: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        """Annotate images, which may differ in size."""
        found = self.model.annotate_batch(list(args), tags=self.tags, color="rgb")
        return [{OBJECTS: to_detections(one), TAGS: to_classifications(one)} for one in found]


def to_detections(annotation: Annotation) -> Any:
    """Return the objects of an annotation as ``fiftyone.Detections``."""
    labels = _labels()
    height, width = annotation.image.size_hw
    found = []
    for row, name in enumerate(annotation.detections.data["class_name"]):
        region = shapes.region_of(annotation.masks, row)
        if region is None:
            continue
        x, y, w, h = shapes.bbox_xywh(region)
        told = scores(annotation, row)
        kind = annotation.tags.kinds[int(np.asarray(annotation.detections.class_id)[row])]
        found.append(
            labels.Detection(
                label=str(name),
                bounding_box=[x / width, y / height, w / width, h / height],
                mask=region.pixels,
                confidence=told["box_score"],
                kind=kind,
                **told,
            )
        )
    return labels.Detections(detections=found)


def to_classifications(annotation: Annotation) -> Any:
    """Return the tags of an annotation as ``fiftyone.Classifications``."""
    labels, tags = _labels(), annotation.tags
    found = []
    for name, score, kind in zip(tags.names, tags.scores.tolist(), tags.kinds, strict=True):
        reason = annotation.ungrounded.get(name)
        why = {} if reason is None else {"ungrounded": str(reason)}
        found.append(labels.Classification(label=name, confidence=score, kind=kind, **why))
    return labels.Classifications(classifications=found)


def from_fiftyone(
    samples: Any,
    label_field: str = "ground_ram",
    *,
    tags_field: str | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Return the labels of a FiftyOne dataset or view, for all our exporters.

    They are read from there sample by sample, whenever the result is gone through. Objects that
    have no mask get their box for one, those of which no pixel is in the image are left out; what
    people changed in FiftyOne comes along.

    Args:
        samples: of images whose files are here.
        label_field: of ``Detections``.
        tags_field: of ``Classifications``; None means that the tags are the names of the objects.
        root: the folder to which the images' names in the result are relative; None means the
            deepest one that holds them all.

    Raises:
        InputError: a field holds something else, an image cannot be read, or lies outside of
            ``root``.
    """
    paths = [str(sample.filepath) for sample in samples]
    base = Path(root) if root is not None else _common(paths)

    def read() -> Iterator[Annotation]:
        for sample in samples:
            found = _of_field(sample, label_field, "detections")
            tags = None if tags_field is None else _of_field(sample, tags_field, "classifications")
            yield _annotation(Path(sample.filepath), base, found, tags)

    return Dataset.reading(read)


def _common(paths: Sequence[str]) -> Path:
    return Path(os.path.commonpath([str(Path(path).parent) for path in paths] or [os.curdir]))


def _of_field(sample: Any, name: str, inside: str) -> list[Any]:
    if name not in sample.field_names:
        known = ", ".join(sample.field_names)
        raise InputError(f"there is no field {name!r} in the samples; there are {known}")
    value = sample[name]
    if value is None:
        return []
    if not hasattr(value, inside):
        raise InputError(f"{name}: expected {inside.title()}, got {type(value).__name__}")
    return list(getattr(value, inside))


def _annotation(
    path: Path, base: Path, detections: Sequence[Any], tags: Sequence[Any] | None
) -> Annotation:
    try:
        size_hw, _ = upright_size(path)
        key = path.relative_to(base).as_posix()
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r}: {error}") from error
    objects = [_found(one, size_hw) for one in detections]
    seen = [one for one in objects if coco_mask.area(one.rle)]
    found = assemble(facts(path, key, size_hw), seen)
    return found if tags is None else _with_tags(found, tags)


def _found(one: Any, size_hw: tuple[int, int]) -> Found:
    height, width = size_hw
    x, y, w, h = np.array(one.bounding_box) * [width, height, width, height]
    left, top, right, bottom = (round(float(side)) for side in (x, y, x + w, y + h))
    mask = one.get_mask() if one.has_mask else None
    if mask is None:
        rle = box_rle((left, top, right, bottom), size_hw)
    else:
        rle = run_lengths(*_inside(mask, (left, top, right, bottom), size_hw), size_hw)
    told = {key: one[key] for key in one.field_names if one[key] is not None}
    usual = {} if one.confidence is None else {"score": one.confidence}
    return Found(str(one.label), rle, str(told.get("kind", "object")), told={**usual, **told})


def _inside(
    mask: NDArray[Any], box: tuple[int, int, int, int], size_hw: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the part of a box's mask that is in the image, and where it begins."""
    left, top, right, bottom = box
    width, height = max(1, right - left), max(1, bottom - top)
    pixels = np.asarray(mask).astype(np.uint8) > 0
    if pixels.shape != (height, width):  # somebody moved the box's sides
        scaled = cv2.resize(
            pixels.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        )
        pixels = scaled > 0
    below, beyond = max(0, size_hw[0] - top), max(0, size_hw[1] - left)
    pixels = pixels[max(0, -top) : below, max(0, -left) : beyond]
    return pixels, (min(max(0, left), size_hw[1]), min(max(0, top), size_hw[0]))


def _with_tags(annotation: Annotation, classifications: Sequence[Any]) -> Annotation:
    """Put the tags of the sample before those that the objects have."""
    had, rows = annotation.tags, dict[str, tuple[float, str]]()
    for one in classifications:
        kind = one["kind"] if "kind" in one.field_names else None
        score = 1.0 if one.confidence is None else float(one.confidence)
        rows.setdefault(str(one.label), (score, str(kind or "object")))
    for name, score, kind in zip(had.names, had.scores.tolist(), had.kinds, strict=True):
        rows.setdefault(name, (score, kind))
    names = tuple(rows)
    values = np.array([score for score, _ in rows.values()], np.float32)
    tags = Tags(names, values, tuple(kind for _, kind in rows.values()))
    places = [names.index(str(name)) for name in annotation.detections.data["class_name"]]
    detections = replace(annotation.detections, class_id=np.array(places, int))
    return replace(annotation, tags=tags, detections=detections)


def _labels() -> Any:
    return needed("fiftyone.core.labels", what="FiftyOneModel", install=_INSTALL)


def _model_class() -> Any:
    made: Mapping[str, Any] = globals()
    return made["FiftyOneModel"] if "FiftyOneModel" in made else __getattr__("FiftyOneModel")


def __getattr__(name: str) -> Any:
    """Make ``FiftyOneModel`` on its first use: its base is FiftyOne's."""
    if name != "FiftyOneModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    models = needed("fiftyone.core.models", what=name, install=_INSTALL)
    globals()[name] = found = inherit(_FiftyOneModel, [models.Model], name)
    return found
