"""The table that says how good a preset is on picture-book scenes of seeds never trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation, Tags
from grounded_ram.evaluation.objects import coco_average_precision
from grounded_ram.evaluation.scoring import score, truth_of
from grounded_ram.evaluation.tagging import mean_average_precision
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.catalog import CATEGORIES, VOCABULARY
from grounded_ram.scenes.scene import Scene, make_scene

FIRST_SEED = 1_000_000
"""Evaluation scenes start here; training scenes start at 10,000,000."""
_ABSENT = 20
_LOW = 0.02  # a threshold low enough to draw a precision-recall curve
_LIKELY_TAG = 0.1  # ... for tags: each one above it is searched for


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    value: float
    least: float
    """What the tiny preset is meant to reach."""


@dataclass
class _Findings:
    """What was found in the scenes so far, and what is true."""

    tag_scores: list[NDArray[np.float32]] = field(default_factory=list)
    tag_truth: list[NDArray[np.bool_]] = field(default_factory=list)
    truth: list[Annotation] = field(default_factory=list)
    prompted: list[sv.Detections] = field(default_factory=list)
    mask_ious: list[float] = field(default_factory=list)
    everything: list[sv.Detections] = field(default_factory=list)
    right: int = 0
    wrong: int = 0
    missed: int = 0


def evaluate_picture_book(model: GroundedRAM, seeds: Iterable[int]) -> list[Row]:
    """Draw scenes, run every stage on them, and return the table.

    The rows: mean AP of tags by kind; AP of boxes prompted with the true names and 20 absent ones;
    mean IoU of masks cut from the true boxes; AP of masks from the pixels alone, all scores kept;
    precision and recall of the labels drawn at the preset's own thresholds, where a label is right
    if its mask overlaps an object of its name by half (each object once).

    Args:
        model: any preset; only its thresholds at work in the last two rows are used.
        seeds: of the scenes; unseen ones lie from ``FIRST_SEED`` to 10,000,000.
    """
    findings = _Findings()
    permissive = GroundedRAM(
        model.preset,
        tagger=model.tagger,
        detector=model.detector,
        segmenter=model.segmenter,
        tag_threshold=_LIKELY_TAG,
        box_threshold=_LOW,
    )
    for seed in seeds:
        scene = make_scene(seed)
        _look(model, permissive, scene, np.random.default_rng(seed), findings)
    return _table(findings)


def _look(
    model: GroundedRAM,
    permissive: GroundedRAM,
    scene: Scene,
    rng: np.random.Generator,
    findings: _Findings,
) -> None:
    """Run every stage on one scene and note what it found."""
    drawn = model.annotate(scene.image, color="rgb")
    truth = truth_of(scene, drawn.image)
    findings.truth.append(truth)
    verdict = score(truth, drawn)
    findings.right += len(verdict.right)
    findings.wrong += len(verdict.wrong)
    findings.missed += len(verdict.missed)
    findings.everything.append(permissive.annotate(scene.image, color="rgb").detections)

    (tags,) = model.tagger.tag([scene.image], threshold=0.0)
    seen = dict(zip(tags.names, tags.scores.tolist(), strict=True))
    findings.tag_scores.append(np.array([seen.get(n, 0.0) for n in VOCABULARY], np.float32))
    findings.tag_truth.append(np.array([name in scene.tags.names for name in VOCABULARY]))

    names = {thing.name for thing in scene.objects}
    absent = rng.permutation(sorted(set(CATEGORIES) - names))[:_ABSENT].tolist()
    asked = Tags.of(sorted({*names, *absent}))
    findings.prompted += model.detector.detect([scene.image], [asked], threshold=_LOW)
    if names:
        findings.mask_ious += _mask_ious(model, scene, truth)


def _mask_ious(model: GroundedRAM, scene: Scene, truth: Annotation) -> list[float]:
    """Return the IoU of each true mask with the one cut from its true box."""
    prompt = sv.Detections(xyxy=truth.detections.xyxy.copy())
    (cut,) = model.segmenter.segment([scene.image], [prompt])
    pairs = zip(np.asarray(cut.mask), truth.masks.to_dense(), strict=True)
    return [float((a & b).sum() / max((a | b).sum(), 1)) for a, b in pairs]


def _table(findings: _Findings) -> list[Row]:
    scores = np.array(findings.tag_scores, np.float32).reshape(-1, len(VOCABULARY))
    truth = np.array(findings.tag_truth, bool).reshape(-1, len(VOCABULARY))

    def tagging(*kinds: str) -> float:
        columns = [i for i, kind in enumerate(VOCABULARY.values()) if kind in kinds]
        return mean_average_precision(scores[:, columns], truth[:, columns])

    boxes = coco_average_precision(findings.prompted, findings.truth, kind="bbox")
    masks = coco_average_precision(findings.everything, findings.truth, kind="segm")
    mean_iou = float(np.mean(findings.mask_ious)) if findings.mask_ious else float("nan")
    return [
        Row("tagging mAP, objects and scenes", tagging("object", "scene"), 0.95),
        Row("tagging mAP, attributes and actions", tagging("attribute", "action"), 0.80),
        Row("detection AP50, true names + 20 absent ones", boxes, 0.88),
        Row("mask mIoU from true boxes", mean_iou, 0.85),
        Row("whole pipeline, mask AP50", masks, 0.75),
        Row("drawn labels that are right", _share(findings.right, findings.wrong), 0.92),
        Row("objects that got a right label", _share(findings.right, findings.missed), 0.75),
    ]


def _share(part: int, others: int) -> float:
    return part / (part + others) if part + others else float("nan")
