"""What the networks said of one picture, kept: labels can be decided again without running them.

Every box is cut that the detector finds above a floor, whatever the thresholds in effect; what
becomes of them is a matter of arithmetic, and ``Exploration.decide`` does it by the very steps of
``GroundedRAM.annotate``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import supervision as sv

from grounded_ram.annotation import Alternatives, Annotation, Tags, objects
from grounded_ram.backends import no_boxes, no_masks
from grounded_ram.drafts import Draft
from grounded_ram.errors import InputError
from grounded_ram.images import LoadedImage
from grounded_ram.presets import Preset
from grounded_ram.rules import Rules, is_share
from grounded_ram.trio import Trio
from grounded_ram.vocabulary.labelling import Labels, choose

TAG_FLOOR = 0.1
"""Tags scored lower are not offered."""

BOX_FLOOR = 0.15
"""Boxes scored lower are not kept, unless a threshold in effect is lower still."""

BAND = 20
"""Tags that did not fire are looked for so many at a time."""

PLACE = "place"
"""The column by which a box is known among all that are kept."""

DECIDED = "decided"
"""What the run's record calls what the user switched on and off."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the tagger says of a picture.

    Args:
        all: every tag that it knows, or those that the user named; synonyms not merged.
        fired: those above their thresholds.
        limits: thresholds that single tags have, by name, whatever the others' is.
        captioned: a sentence that describes the picture, or nothing.
    """

    all: Tags
    fired: Tags
    limits: Mapping[str, float]
    captioned: str = ""

    def at(self, threshold: float | None) -> Tags:
        """Return what fires at a threshold; None for the tagger's own."""
        if threshold is None:
            return self.fired
        limits = [self.limits.get(name, threshold) for name in self.all.names]
        fires = self.all.scores > np.array(limits, np.float32)
        return self.all.take(np.flatnonzero(fires).tolist())


class Exploration:
    """One picture, and what the networks said of it.

    ``GroundedRAM.explore`` makes it. It is not for several threads at once.

    Args:
        image: the picture.
        seen: what the tagger says of it.
        labels: what to look for and what to call it.
        trio: the networks.
        preset: the thresholds in effect.
        record: how annotations of it are made.

    Attributes:
        image: the picture.
        box_floor: boxes scored at or below it are not known.
    """

    def __init__(
        self,
        image: LoadedImage,
        seen: Seen,
        labels: Labels,
        *,
        trio: Trio,
        preset: Preset,
        record: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.image = image
        self._seen = seen
        self._known = labels.merge_synonyms(seen.all)
        self._labels = labels
        self._trio = trio
        self._preset = preset
        self._record = record
        self.box_floor = min(BOX_FLOOR, labels.lowest_box_threshold(preset.box_threshold))
        self._pools: dict[tuple[str, ...], sv.Detections] = {}
        self._bands: list[Tags] = []
        self._count = 0
        self._look_for(self._draft((), (), None).wanted)

    @property
    def tags(self) -> Tags:
        """Every tag scored above ``TAG_FLOOR``, best first, synonyms merged; and all that fired."""
        known = self._known
        offered = (known.scores > TAG_FLOOR) | np.isin(known.names, list(self.fired()))
        return known.take(np.flatnonzero(offered).tolist())

    def fired(self, threshold: float | None = None) -> frozenset[str]:
        """Return the tags that fire, by the names that ``tags`` gives them.

        Args:
            threshold: of tags that have none of their own; None for the tagger's.
        """
        return frozenset(self._labels.merge_synonyms(self._seen.at(threshold)).names)

    def decide(
        self,
        *,
        without: Collection[str] = (),
        also: Collection[str] = (),
        tag_threshold: float | None = None,
        box_threshold: float | None = None,
        rules: Rules | None = None,
    ) -> Annotation:
        """Decide the labels; with no arguments they are those of ``annotate``.

        The networks run only for names that were never looked for; of all else their scores are
        kept. The detector reads all names of a picture together, so that a name switched off may
        still move the last digits of others' scores.

        Args:
            without: names switched off: as if the tagger had not seen them.
            also: names switched on, whatever their scores and kinds; words of the user's own too.
            tag_threshold: instead of the tagger's own.
            box_threshold: instead of the model's; no lower than ``box_floor``.
            rules: instead of the model's. ``crop_check`` makes the tagger look at each object.

        Raises:
            InputError: a threshold is out of range, or a name is empty.
        """
        row = self._preset
        box_threshold = row.box_threshold if box_threshold is None else box_threshold
        self._check(box_threshold, tag_threshold, without, also)
        chosen = replace(row, box_threshold=box_threshold, rules=rules or row.rules)
        draft = self._draft(without, also, tag_threshold, chosen)
        self._look_for(draft.wanted)
        threshold = self._labels.lowest_box_threshold(box_threshold)
        draft.take_boxes(self._boxes(draft.wanted, threshold))
        draft.take_masks(self._masks(draft.found))
        draft.judge(None if chosen.rules.crop_check == "off" else self._trio.look)
        thresholds = {"box_threshold": box_threshold, "rules": asdict(chosen.rules)}
        if tag_threshold is not None:
            thresholds["tag_threshold"] = tag_threshold
        told = {"without": sorted(without), "also": sorted(also)} if without or also else None
        record = {**self._record(), **thresholds, **({DECIDED: told} if told else {})}
        return draft.finish(record, self._seen.captioned)

    def _check(
        self,
        box_threshold: float,
        tag_threshold: float | None,
        without: Collection[str],
        also: Collection[str],
    ) -> None:
        if not is_share(box_threshold) or box_threshold < self.box_floor:
            raise InputError(
                f"box_threshold: expected a number from {self.box_floor:g} to 1, "
                f"got {box_threshold!r}; lower boxes were not kept"
            )
        if tag_threshold is not None and not is_share(tag_threshold):
            raise InputError(f"tag_threshold: expected a number in [0, 1], got {tag_threshold!r}")
        for what, names in (("without", without), ("also", also)):
            if isinstance(names, str) or not all(isinstance(n, str) and n.strip() for n in names):
                raise InputError(f"{what}: expected names that are not empty, got {names!r}")

    def _draft(
        self,
        without: Collection[str],
        also: Collection[str],
        tag_threshold: float | None,
        chosen: Preset | None = None,
    ) -> Draft:
        """Begin an annotation with the tags that are switched on."""
        row = chosen or self._preset
        fired = self._labels.merge_synonyms(self._seen.at(tag_threshold))
        tags = _switched(fired, self._known, without, also)
        return Draft(
            self.image,
            tags,
            self._labels,
            box_threshold=row.box_threshold,
            nms_iou=row.nms_iou,
            rules=row.rules,
            asked=frozenset(also),
        )

    def _look_for(self, wanted: Tags) -> None:
        """Find and cut what was not looked for yet.

        First all that fired; then a tag that did not with those next to it, since one look at a
        picture costs as much for twenty names as for one; words of the user's own each alone. So
        what comes of a name depends on no other that was switched on before it.
        """
        if not self._pools:
            self._find(wanted)
            self._bands = self._in_bands(wanted)
        for row, name in enumerate(wanted.names):
            if not any(name in names for names in self._pools):
                alone = wanted.take([row])
                self._find(next((band for band in self._bands if name in band.names), alone))

    def _in_bands(self, known: Tags) -> list[Tags]:
        """Return the tags that may be looked for later, best first, in bands."""
        tags = choose(self.tags, self._labels)
        rows = [row for row, name in enumerate(tags.names) if name not in known.names]
        return [tags.take(rows[i : i + BAND]) for i in range(0, len(rows), BAND)]

    def _find(self, wanted: Tags) -> None:
        """Find and cut every box above the floor, and keep them."""
        pixels = [self.image.pixels]
        found = self._trio.segment(pixels, self._trio.detect(pixels, [wanted], self.box_floor))[0]
        places = np.arange(self._count, self._count + len(found))
        self._count += len(found)
        self._pools[wanted.names] = replace(found, data={**found.data, PLACE: places})

    def _boxes(self, wanted: Tags, threshold: float) -> sv.Detections:
        """Return the boxes that the wanted names fit, best first; their masks are left out."""
        rows = {name: row for row, name in enumerate(wanted.names)}
        found = [
            _renamed(pool, rows, threshold)
            for names, pool in self._pools.items()
            if not rows.keys().isdisjoint(names)
        ]
        joined = sv.Detections.merge([one for one in found if len(one)])
        if not len(joined):
            nothing = no_boxes()
            return replace(nothing, data={**nothing.data, PLACE: np.zeros(0, int)})
        return joined.select(np.argsort(-np.asarray(joined.confidence), kind="stable"))

    def _masks(self, boxes: sv.Detections) -> sv.Detections:
        """Return boxes with the masks that were cut of them, and without the place."""
        cut = {
            place: pool.select([row])
            for pool in self._pools.values()
            for row, place in enumerate(np.asarray(pool.data[PLACE]).tolist())
        }
        mine = [cut[place] for place in np.asarray(boxes.data[PLACE]).tolist()]
        nothing = no_masks(no_boxes(), self.image.pixels)
        masks = [cast("sv.CompactMask", one.mask) for one in (nothing, *mine)]
        scores = {
            key: np.concatenate([np.asarray(one.data[key], np.float32) for one in (nothing, *mine)])
            for key in ("mask_score", "mask_stability")
        }
        kept = {key: column for key, column in boxes.data.items() if key != PLACE}
        return replace(boxes, mask=sv.CompactMask.merge(masks), data={**kept, **scores})


def _switched(fired: Tags, known: Tags, without: Collection[str], also: Collection[str]) -> Tags:
    """Take tags away from those that fired and add others, best first.

    A name that the tagger knows keeps its score and kind; a word of the user's own scores 1.
    """
    rows = [
        (name, score, kind)
        for name, score, kind in zip(fired.names, fired.scores, fired.kinds, strict=True)
        if name not in without
    ]
    told = {
        name: (score, kind)
        for name, score, kind in zip(known.names, known.scores, known.kinds, strict=True)
    }
    on = {name for name, _, _ in rows}
    new = [name for name in dict.fromkeys(also) if name not in on and name not in without]
    rows += [(name, *told.get(name, (np.float32(1), "object"))) for name in new]
    rows.sort(key=lambda row: -row[1])
    names, scores, kinds = zip(*rows, strict=True) if rows else ((), (), ())
    return Tags(tuple(names), np.array(scores, np.float32), tuple(kinds))


def _renamed(pool: sv.Detections, rows: Mapping[str, int], threshold: float) -> sv.Detections:
    """Return the boxes that some of the names fit, each under the one that fits it best."""
    least, half = np.float32(threshold), np.float32(threshold / 2)  # as detectors compare
    fitting = [
        [
            pair
            for pair in ((str(name), float(score)), *others)
            if pair[0] in rows and np.float32(pair[1]) > half
        ]
        for name, score, others in zip(
            pool.data["class_name"],
            np.asarray(pool.confidence),
            pool.data["alternatives"],
            strict=True,
        )
    ]
    kept = [n for n, names in enumerate(fitting) if names and np.float32(names[0][1]) > least]
    names = [fitting[row][0][0] for row in kept]
    others: list[Alternatives] = [tuple(fitting[row][1:]) for row in kept]
    return sv.Detections(
        pool.xyxy[kept],
        confidence=np.array([fitting[row][0][1] for row in kept], np.float32),
        class_id=np.array([rows[name] for name in names], int),
        data={
            "class_name": np.array(names, str),
            "alternatives": objects(others),
            PLACE: np.asarray(pool.data[PLACE])[kept],
        },
    )
