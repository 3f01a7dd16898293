"""Annotations made by hand, of pictures that lie in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation
from tests.hand_annotation import annotate


def on_disk(
    folder: Path,
    name: str,
    objects: Sequence[tuple[str, NDArray[np.bool_]]] = (),
    *,
    scores: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    **options: tuple[str, ...],
) -> Annotation:
    """Make an annotation without pixels; its picture is a file of noise.

    Args:
        folder: where the file goes.
        name: of the picture in the dataset.
        objects: names and masks.
        scores: columns of scores, one an object, in place of the usual ones.
        seed: of the noise.
        options: as ``annotate`` has them.
    """
    plain = annotate(objects, seed=seed, **options)
    file = folder / f"{sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}.png"
    PIL.Image.fromarray(plain.pixels).save(file)
    digest = sha256(file.read_bytes()).hexdigest()
    image = replace(plain.image, path=str(file), sha256=digest, file_name=name)
    return with_scores(replace(plain, image=image, pixels=None), scores or {})


def with_scores(annotation: Annotation, scores: Mapping[str, Sequence[float]]) -> Annotation:
    """Put columns of scores in place of an annotation's own."""
    columns = {key: np.array(values, np.float32) for key, values in scores.items()}
    found = annotation.detections
    data = {**found.data, **columns}
    return replace(annotation, detections=replace(found, data=data, confidence=data["box_score"]))
