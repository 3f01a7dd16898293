"""What came of a run, in a few numbers, and what to look at first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from grounded_ram.autolabel.items import Skipped
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.files import json_line, replacing, write_json

MOST_FIRST = 10
"""Pictures and tags of which each list of what to look at first names the first ones."""


@dataclass
class Aside:
    """What of its sources a run does not label.

    Args:
        skipped: how many things were left out, by reason.
        lost: name and reason of each picture that could not even be begun.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[str, str]] = field(default_factory=list)

    def take(self, one: Skipped, file: IO[bytes]) -> None:
        """Set something aside; what is no failure is written into the list of what was left out."""
        if one.is_failure:
            self.lost.append((one.name, one.reason))
        else:
            self.leave_out(one.name, one.what, one.reason, file=file)

    def leave_out(self, name: str, what: str, reason: str, *, file: IO[bytes]) -> None:
        """Count something that is left out, and write it down."""
        self.skipped[what] += 1
        file.write(json_line({"name": name, "reason": reason}))

    def failures(self, run: Run) -> list[tuple[str, str]]:
        """Return name and reason of each picture of a run that failed or was lost, by name."""
        return sorted([*run.failures(), *self.lost])


def write_summary(run: Run, dataset: Dataset, aside: Aside) -> dict[str, Any]:
    """Write the summary of a run and the list of its failures; return the summary.

    Args:
        run: where they go.
        dataset: the run's.
        aside: what of the sources was not labelled.

    Raises:
        OSError: the disk is full, say.
    """
    failures = aside.failures(run)
    summary = summarize(
        dataset, failures=failures, duplicates=run.duplicates(), skipped=aside.skipped
    )
    write_json(summary, run.summary, indent=2)
    with replacing(run.failures_file) as file:
        for name, reason in failures:
            file.write(json_line({"name": name, "reason": reason}))
    return summary


def summarize(
    dataset: Dataset,
    *,
    failures: Sequence[tuple[str, str]],
    duplicates: Sequence[Sequence[str]],
    skipped: Mapping[str, int],
) -> dict[str, Any]:
    """Return plain values: counts by class, failures by reason, what to look at first.

    Args:
        dataset: read once.
        failures: names and reasons.
        duplicates: groups of names.
        skipped: how many things in the sources were no pictures, by reason.
    """
    empty, not_found, unsure = 0, Counter[str](), list[tuple[float, str, str]]()
    scores: dict[str, list[float]] = {name: [0, 0.0] for name in dataset.classes}
    for annotation in dataset:
        found = annotation.detections
        empty += not len(found)
        not_found.update(annotation.not_found)
        names = [str(name) for name in found.data["class_name"]]
        listed = np.asarray(found.data["label_score"], float).tolist()
        for name, score in zip(names, listed, strict=True):
            scores[name][0] += 1
            scores[name][1] += score
        if names:
            lowest = min(zip(listed, names, strict=True))
            unsure = sorted([*unsure, (*lowest, key_of(annotation.image))])[:MOST_FIRST]
    return {
        "pictures": len(dataset),
        "without_objects": empty,
        "objects": sum(dataset.objects.values()),
        "classes": [
            {"name": name, "objects": count, "mean_score": round(scores[name][1] / count, 4)}
            for name, count in _by_count(dataset.objects)
        ],
        "failed": _by_reason(failures),
        "skipped": dict(_by_count(skipped)),
        "duplicates": {
            "groups": len(duplicates),
            "pictures": sum(map(len, duplicates)),
            "first": [list(group) for group in duplicates[:MOST_FIRST]],
        },
        "look_first": {
            "seen_but_not_found": dict(_by_count(not_found)[:MOST_FIRST]),
            "least_sure": [
                {"picture": picture, "label": label, "label_score": round(score, 4)}
                for score, label, picture in unsure
            ],
        },
    }


def _by_reason(failures: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Group failures of one kind, the most frequent first, each told by its first picture."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in failures:
        groups.setdefault(reason_in_short(reason), []).append((name, reason))
    return [
        {"pictures": len(group), "first": group[0][0], "reason": group[0][1]}
        for group in sorted(groups.values(), key=lambda group: (-len(group), group[0]))
    ]


def reason_in_short(reason: str) -> str:
    """Return a reason without what is of one picture alone: names in quotes, and numbers."""
    first = reason.partition("\n")[0]
    return re.sub(r"\d+", "#", re.sub(r"'[^']*'", "'...'", first))[:120]


def _by_count(counts: Mapping[str, int] | Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Sort by falling count, then by name."""
    return sorted(dict(counts).items(), key=lambda item: (-item[1], item[0]))
