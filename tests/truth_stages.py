"""Backends that know the truth of a few scenes, for tests of what happens between the stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import supervision as sv

from grounded_ram.annotation import Tags
from grounded_ram.images import Image
from grounded_ram.scenes.scene import Scene
from grounded_ram.weights import Checkpoint


class Truth:
    """All three stages at once; ``calls`` tells what was asked of which stage."""

    def __init__(self, *scenes: Scene) -> None:
        self.scenes = {scene.image.tobytes(): scene for scene in scenes}
        self.calls: list[tuple[str, int]] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        self.calls.append(("tag", len(images)))
        return [self.scenes[image.tobytes()].tags for image in images]

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.calls.append(("detect", len(images)))
        pairs = zip(images, tags, strict=True)
        return [self._boxes(self.scenes[image.tobytes()], of_image) for image, of_image in pairs]

    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        self.calls.append(("segment", len(images)))
        pairs = zip(images, detections, strict=True)
        return [self._masks(self.scenes[image.tobytes()], found) for image, found in pairs]

    def _boxes(self, scene: Scene, tags: Tags) -> sv.Detections:
        wanted = [thing for thing in scene.objects if thing.name in tags.names]
        return detections([(tags, thing.name, 0.9, thing.box_xyxy) for thing in wanted])

    def _masks(self, scene: Scene, found: sv.Detections) -> sv.Detections:
        masks = [
            next(t.mask for t in scene.objects if np.array_equal(t.box_xyxy, box))
            for box in found.xyxy
        ]
        return with_masks(found, np.array(masks, bool))


def load_truth(checkpoint: Checkpoint, **options: object) -> Truth:
    """Make a backend as the registry's factories do."""
    return Truth()


def detections(rows: Sequence[tuple[Tags, str, float, object]]) -> sv.Detections:
    """Make what a detector returns, of (tags asked for, name, score, box)."""
    return sv.Detections(
        np.array([box for *_, box in rows], np.float32).reshape(-1, 4),
        confidence=np.array([score for _, _, score, _ in rows], np.float32),
        class_id=np.array([tags.names.index(name) for tags, name, _, _ in rows], int),
        data={"class_name": np.array([name for _, name, _, _ in rows], dtype=str)},
    )


def with_masks(found: sv.Detections, masks: np.ndarray, score: float = 0.8) -> sv.Detections:
    """Make what a segmenter returns, of (N, H, W) masks."""
    compact = sv.CompactMask.from_dense(masks, sv.mask_to_xyxy(masks), masks.shape[1:])
    scores = np.full(len(found), score, np.float32)
    return replace(found, mask=compact, data={**found.data, "mask_score": scores})
