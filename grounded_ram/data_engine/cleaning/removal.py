"""An annotation without some of its objects, and the list of what went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv

from grounded_ram.annotation import Annotation, Reason, Rejected
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.verdicts import Verdict
from grounded_ram.export.files import json_bytes, plain, replacing
from grounded_ram.vocabulary.labelling import Labels


def without(annotation: Annotation, gone: Mapping[int, Reason], labels: Labels) -> Annotation:
    """Take objects out of an annotation; they stand in ``rejected`` then.

    A tag goes with the last of its objects, as in RAM's data engine: nothing in the picture speaks
    for it any more.

    Args:
        annotation: of any picture.
        gone: the reason of each row of its detections that goes.
        labels: tell which label is a kind of which.
    """
    if not gone:
        return annotation
    found = annotation.detections
    left = found.select([row for row in range(len(found)) if row not in gone])
    carried = _names(left)
    lost = _names(found) - carried
    tags = annotation.tags
    tags = tags.take([row for row, name in enumerate(tags.names) if name not in lost])
    places = {name: row for row, name in enumerate(tags.names)}
    ids = [places[str(name)] for name in left.data["class_name"]]
    rejected = [Rejected.of(found, row, reason) for row, reason in gone.items()]
    best_first = sorted(
        [*annotation.rejected, *rejected], key=lambda one: (-one.box_score, one.name, one.box_xyxy)
    )
    return replace(
        annotation,
        tags=tags,
        detections=replace(left, class_id=np.array(ids, np.int64)),
        ungrounded=_ungrounded(annotation.ungrounded, left, labels),
        rejected=tuple(best_first),
    )


def _ungrounded(
    before: Mapping[str, Reason], left: sv.Detections, labels: Labels
) -> dict[str, Reason]:
    """Say of each tag that no object carries why: the object that stood for it may be gone."""
    carried = _names(left)
    others = left.data.get("alternatives", ())
    known_as = carried | {name for alternatives in others for name, _ in alternatives}

    def stands(tag: str) -> bool:
        return tag in known_as or any(labels.is_a(name, tag) for name in carried)

    return {
        tag: Reason.NO_BOX_LEFT if reason is Reason.SAME_OBJECT and not stands(tag) else reason
        for tag, reason in before.items()
    }


def _names(detections: sv.Detections) -> set[str]:
    return {str(name) for name in detections.data["class_name"]}


def list_removed(path: Path, regions: list[Region], verdicts: list[Verdict]) -> None:
    """Write down each label that was removed, and why."""
    with replacing(path) as file:
        for region, verdict in zip(regions, verdicts, strict=True):
            if verdict.reason is not None:
                file.write(json_bytes(plain(removal_record(region, verdict, verdict.reason))))
                file.write(b"\n")


def removal_record(region: Region, verdict: Verdict, reason: Reason) -> dict[str, Any]:
    """Return what is told of a label that was removed, in plain values."""
    digits = 4
    return {
        "image": region.picture,
        "label": region.label,
        "box_xyxy": [round(side, 2) for side in region.box_xyxy],
        "reason": str(reason),
        "distance": round(verdict.distance, digits),
        "score_in_picture": round(region.whole, digits),
        "score_alone": round(region.alone, digits),
    }
