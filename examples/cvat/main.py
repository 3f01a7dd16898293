"""What CVAT asks of a detector: a picture in, its objects as masks or polygons out.

Nuclio calls `init_context` once for each worker, then `handler` for each picture. The labels are
those of function.yaml, which lies beside this file in the container too. Each is looked for, and
RAM is not asked; where a vocabulary.yaml lies there as well, it says what is looked for instead,
and objects that function.yaml has no label for are left out. GROUNDED_RAM_PRESET names the models,
GROUNDED_RAM_CVAT_SHAPE what an object is:

    mask      one mask each, to the pixel; with "Convert masks to polygons" one polygon each
    polygon   one polygon for each part, those of an object in one group
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from grounded_ram import Annotation, GroundedRAM, InputError
from grounded_ram.export import shapes
from grounded_ram.export.single_outline import single_outline

FUNCTION = Path(__file__).with_name("function.yaml")
VOCABULARY = Path(__file__).with_name("vocabulary.yaml")
SHAPES = ("mask", "polygon")


def read_labels(path: Path) -> list[str]:
    """Return the names of the labels that a function.yaml tells CVAT of."""
    told = yaml.safe_load(path.read_text("utf-8"))["metadata"]["annotations"]["spec"]
    return [label["name"] for label in json.loads(told)]


def init_context(context: Any) -> None:
    """Load the weights, before the first picture comes."""
    shape = os.environ.get("GROUNDED_RAM_CVAT_SHAPE", "mask")
    if shape not in SHAPES:
        raise InputError(f"GROUNDED_RAM_CVAT_SHAPE: expected one of {SHAPES}, got {shape!r}")
    told, labels = context.user_data, read_labels(FUNCTION)
    told.tags = None if VOCABULARY.is_file() else labels
    told.model = GroundedRAM(vocabulary=None if told.tags else VOCABULARY)
    told.labels, told.shape = frozenset(labels), shape
    told.model.annotate(np.zeros((32, 32, 3), np.uint8), tags=told.tags)  # loads the weights
    context.logger.info(f"{told.model!r} is ready for {len(labels)} labels")


def handler(context: Any, event: Any) -> Any:
    """Answer for one picture; a request that cannot be used gets status 400 and says why."""
    told = context.user_data
    try:
        picture, threshold = read_request(event.body)
        annotation = told.model.annotate(picture, tags=told.tags)
    except InputError as error:
        context.logger.warn(str(error))
        return respond(context, {"error": str(error)}, 400)
    found = objects(annotation, threshold, told.shape)
    return respond(context, [one for one in found if one["label"] in told.labels], 200)


def respond(context: Any, body: Any, status: int) -> Any:
    return context.Response(
        body=json.dumps(body),
        headers={},
        content_type="application/json",
        status_code=status,
    )


def read_request(body: Any) -> tuple[bytes, float]:
    """Return the picture's file, and the lowest score that an object may have.

    Raises:
        InputError: there is no picture, or the threshold is no number.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("image"), str):
        raise InputError('expected JSON: {"image": "...", "threshold": 0.5}, image in base64')
    threshold = body.get("threshold")
    try:
        picture = base64.b64decode(body["image"], validate=True)
    except ValueError as error:  # no binascii.Error where it is not ASCII
        raise InputError(f"image: expected base64; {error}") from error
    try:
        return picture, float(threshold or 0.0)
    except (TypeError, ValueError) as error:
        raise InputError(f"threshold: expected a number from 0 to 1, got {threshold!r}") from error


def objects(annotation: Annotation, threshold: float, shape: str) -> Iterator[dict[str, Any]]:
    """Return the shapes of all objects with a score of at least the threshold."""
    found = annotation.detections
    for row, (name, score) in enumerate(
        zip(found.data["class_name"], found.data["label_score"], strict=True)
    ):
        region = shapes.region_of(annotation.masks, row)
        if region is None or score < threshold:
            continue
        told = {"confidence": f"{score:.4f}", "label": str(name), "type": shape}
        if shape == "mask":
            line = single_outline(region).round(2).ravel().tolist()
            yield {**told, "points": line, "mask": cvat_mask(region)}
        else:
            for line in shapes.polygons(region):
                yield {**told, "points": line, "group_id": row + 1}


def cvat_mask(region: shapes.Region) -> list[int]:
    """Return the pixels of the tight box, row by row, then its first and last column and row."""
    height, width = region.pixels.shape
    pixels = region.pixels.astype(int).ravel().tolist()
    return [*pixels, region.x, region.y, region.x + width - 1, region.y + height - 1]
