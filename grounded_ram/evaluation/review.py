"""What a person should see of an auto-labelled dataset: counts, scores, examples, doubts.

The annotations are read twice, first to count and then to choose the examples. What is kept does
not grow with the number of pictures; pictures themselves are not opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from grounded_ram.annotation import Annotation, Reason
from grounded_ram.evaluation.exhibits import (
    Exhibit,
    Shortlist,
    exhibit_object,
    exhibit_picture,
    exhibit_rejected,
)
from grounded_ram.evaluation.tally import IN_VAIN, ClassFacts, Tally, median
from grounded_ram.export.dataset import Dataset
from grounded_ram.rules import Rules

MOST_SHEETS = 60
"""Classes that have examples, the most frequent."""
EACH = 4
"""Best, typical and weakest examples of a class, so many of each."""
SAMPLE = 12
"""Whole pictures drawn by lot."""
SECTION = 12
"""Entries in a section of the queue."""
EACH_LABEL = 3
"""Of them, of one label."""
EACH_REASON = 6
"""Rejected boxes of one reason."""
MOST_TAGS = 6
"""Further tags without an object that are named with a picture."""
MOST_LISTED = 200
"""Failures, and groups of duplicates, that are listed."""

UNUSUAL = 2.0
"""An object is unusual in size if it is so many standard deviations from its class's usual one,
both in logarithms."""


@dataclass(frozen=True, eq=False)
class Section:
    """Part of the queue: what has one reason to be looked at, the most urgent first."""

    title: str
    hint: str
    exhibits: Sequence[Exhibit]


@dataclass(frozen=True, eq=False)
class Review:
    """All that a report shows.

    Args:
        pictures: how many were labelled.
        objects: how many were found in them.
        empty: pictures without an object.
        rejected: boxes that became no label.
        classes: the labels, the most frequent first.
        sample: pictures drawn by lot.
        queue: what a person should look at.
        failures: how many pictures failed.
        failed: name of the picture and reason, of the first ``MOST_LISTED``.
        surplus: how many pictures are copies of another one.
        duplicates: groups of names of the same picture, the first ``MOST_LISTED``.
        facts: how the annotations were made, as ``Annotation.run`` has it.
    """

    pictures: int
    objects: int
    empty: int
    rejected: int
    classes: Sequence[ClassFacts]
    sample: Sequence[Exhibit]
    queue: Sequence[Section]
    failures: int
    failed: Sequence[tuple[str, str]]
    surplus: int
    duplicates: Sequence[Sequence[str]]
    facts: Mapping[str, Any]


def collect(
    dataset: Dataset,
    *,
    failures: Iterable[tuple[str, str]] = (),
    duplicates: Iterable[Sequence[str]] = (),
    facts: Mapping[str, Any] | None = None,
) -> Review:
    """Read a dataset twice, and return what a person should see of it.

    Args:
        dataset: its annotations; pixels are not asked for.
        failures: name and reason of each picture that could not be labelled.
        duplicates: names of pictures that are the same, a group each.
        facts: how the annotations were made, as ``Annotation.run`` has it; None for that of the
            first one.
    """
    tally = Tally()
    for annotation in dataset:
        tally.add(annotation)
    facts = tally.run if facts is None else facts
    choice = _Choice(tally, facts)
    for annotation in dataset:
        choice.look_at(annotation)
    failed, failures_count = _first(failures)
    groups = [list(group) for group in duplicates]
    return Review(
        tally.pictures,
        sum(one.objects for one in tally.classes.values()),
        tally.empty,
        tally.rejected,
        choice.classes(),
        choice.sample.best(),
        choice.queue(),
        failures_count,
        failed,
        sum(len(group) - 1 for group in groups),
        groups[:MOST_LISTED],
        facts,
    )


def _first(failures: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
    """Return the first ones to list, and how many there are."""
    rest = iter(failures)
    listed = list(islice(rest, MOST_LISTED))
    return listed, len(listed) + sum(1 for _ in rest)


class _Choice:
    """The examples of a dataset.

    Args:
        tally: the counts of the same dataset.
        facts: as ``Annotation.run`` has them; of the rules, the least score in a crop is read.
    """

    def __init__(self, tally: Tally, facts: Mapping[str, Any]) -> None:
        self._classes = tally.classes
        self._order = sorted(tally.classes.values(), key=lambda one: (-one.objects, one.label))
        rules = facts.get("rules") or {}
        self._least_crop_score = rules.get("least_crop_score", Rules().least_crop_score)
        self._sheets = {
            one.label: {word: Shortlist(EACH) for word in ("best", "weakest", "typical")}
            for one in self._order[:MOST_SHEETS]
        }
        self._middles = {label: median(tally.classes[label].label_scores) for label in self._sheets}
        self.sample = Shortlist(SAMPLE)
        self._in_vain, self._weak, self._apart, self._crops, self._sizes, self._masks = (
            Shortlist(SECTION, EACH_LABEL) for _ in range(6)
        )
        self._rejected, self._empty = Shortlist(SECTION, EACH_REASON), Shortlist(SECTION)

    def look_at(self, annotation: Annotation) -> None:
        """Offer a picture and all that is in it."""
        # Digests are as good as lots, and the same in every report.
        lot = -int(annotation.image.sha256[:12], 16)
        whole = partial(exhibit_picture, annotation)
        if len(annotation.detections):
            self.sample.offer(lot, whole)
        else:
            self._empty.offer(lot, partial(whole, "no object was found in it"))
        shares = annotation.masks.area / math.prod(annotation.image.size_hw)
        for row in range(len(annotation.detections)):
            make = partial(exhibit_object, annotation, row)
            self._offer_object(annotation, row, float(shares[row]), make)
        self._offer_tags(annotation)
        self._offer_rejected(annotation)

    def _offer_object(
        self, annotation: Annotation, row: int, share: float, make: Callable[..., Exhibit]
    ) -> None:
        data = annotation.detections.data
        label = str(data["class_name"][row])
        tag, box, mask, score = (
            float(data[key][row]) for key in ("tag_score", "box_score", "mask_score", "label_score")
        )
        if label in self._sheets:
            sheet = self._sheets[label]
            sheet["best"].offer(score, make)
            sheet["weakest"].offer(-score, make)
            sheet["typical"].offer(-abs(score - self._middles[label]), make)
        self._weak.offer(-score, partial(make, f"combined score only {score:.2f}"), label)
        self._apart.offer(
            abs(tag - box), partial(make, f"tagger {tag:.2f}, detector {box:.2f}"), label
        )
        crop = float(data["crop_score"][row]) if "crop_score" in data else math.nan
        if crop < self._least_crop_score:
            why = f"seen alone, the tagger gives it only {crop:.2f}"
            self._crops.offer(-crop, partial(make, why), label)
        if not share:
            self._masks.offer(math.inf, partial(make, "its mask is empty"), label)
            return
        self._masks.offer(-mask, partial(make, f"mask score only {mask:.2f}"), label)
        times, unusual = self._classes[label].size_of(share)
        if abs(unusual) >= UNUSUAL:
            self._sizes.offer(abs(unusual), partial(make, _size_text(times, label)), label)

    def _offer_tags(self, annotation: Annotation) -> None:
        """Offer the picture once for all tags that no object carries."""
        tags = annotation.tags
        rows = [i for i, tag in enumerate(tags.names) if annotation.ungrounded.get(tag) in IN_VAIN]
        if not rows:
            return
        best, *others = sorted(rows, key=lambda row: -tags.scores[row])
        name, score = tags.names[best], float(tags.scores[best])
        why = [f"tagger {score:.2f}, but {annotation.ungrounded[name]}"]
        if others:
            named = (f"{tags.names[row]} {tags.scores[row]:.2f}" for row in others[:MOST_TAGS])
            why.append(f"nor are there objects for {', '.join(named)}")
        self._in_vain.offer(score, partial(exhibit_picture, annotation, *why, tag=name), name)

    def _offer_rejected(self, annotation: Annotation) -> None:
        for place, box in enumerate(annotation.rejected):
            if box.reason is not Reason.SAME_NAME:  # which every detector gives by the dozen
                instead = f": {box.instead}" if box.instead else ""
                make = partial(exhibit_rejected, annotation, place, f"{box.reason}{instead}")
                self._rejected.offer(box.box_score, make, box.reason.name)

    def classes(self) -> list[ClassFacts]:
        """Return the labels with their examples, the most frequent first."""
        for label, lists in self._sheets.items():
            seen: set[tuple[str, str]] = set()
            chosen = {}
            for word in ("best", "weakest", "typical"):
                chosen[word] = [one for one in lists[word].best() if one.key not in seen]
                seen.update(one.key for one in chosen[word])
            one = self._classes[label]
            if one.objects <= 2 * EACH:
                one.examples = {"all": [*chosen["best"], *reversed(chosen["weakest"])]}
            else:
                one.examples = {word: chosen[word] for word in ("best", "typical", "weakest")}
        return self._order

    def queue(self) -> list[Section]:
        """Return the sections that have entries; what is in one comes in no later one."""
        seen: dict[tuple[str, str], Exhibit] = {}
        sections = []
        for title, hint, shortlist in self._sections():
            new = []
            for one in shortlist.best():
                if one.key in seen:
                    seen[one.key].why.extend(one.why)
                else:
                    seen[one.key] = one
                    new.append(one)
            if new:
                sections.append(Section(title, hint, new))
        return sections

    def _sections(self) -> list[tuple[str, str, Shortlist]]:
        return [
            (
                "Contradicted by a second look",
                "The tagger looked at each of these objects alone and did not see what the label "
                "says.",
                self._crops,
            ),
            (
                "Weakest labels",
                "The lowest combined scores: the first candidates for a wrong name.",
                self._weak,
            ),
            (
                "Tagger and detector disagree",
                "One of them is sure and the other is not.",
                self._apart,
            ),
            (
                "Tags without an object",
                "The tagger says that these things are in the picture, and no object carries the "
                "label: overlooked, or not there at all.",
                self._in_vain,
            ),
            (
                "Unusual size",
                "Far larger or smaller than other objects of their class: often two objects in "
                "one mask, or a piece of one.",
                self._sizes,
            ),
            (
                "Unsure masks",
                "The segmenter's lowest scores: look at the outline.",
                self._masks,
            ),
            (
                "Rejected boxes of good score",
                "They became no label. The dashed line is the box.",
                self._rejected,
            ),
            (
                "Pictures without an object",
                "Empty, or overlooked.",
                self._empty,
            ),
        ]


def _size_text(times: float, label: str) -> str:
    if times >= 1:
        return f"{times:.1f} times the usual size of {label}"
    return f"{100 * times:.0f} % of the usual size of {label}"
