"""Calibrated thresholds as a vocabulary file to label with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import yaml

from grounded_ram.evaluation.calibration import Calibrated, Calibration, Source

_HEAD = """\
# Thresholds of boxes for a precision of {wanted:g}, measured on {pictures} pictures of {sample}.
# Of each label: the precision there, and in brackets where it lies with 95 % confidence; recall;
# objects that stay of those in the sample; where the threshold lies in 95 % of such samples.
# Label with it: grounded-ram label FOLDER --vocabulary FILE"""


def vocabulary_text(calibration: Calibration, *, sample: str) -> str:
    """Write the thresholds down as a vocabulary file, with the edits that the run was made with.

    Args:
        calibration: what was found.
        sample: what the truth is called.
    """
    wanted, pictures = calibration.precision, calibration.coverage.pictures
    own = calibration.labelling.edits
    labels = [row.label for row in calibration.labels if _is_name(row.label)]
    parts = own.record()
    before = {**parts.pop("box_thresholds", {})}
    known = {*own.classes, *own.rename.values()}
    knows = calibration.labelling.vocabulary.knows
    if unknown := [label for label in labels if label not in known and not knows(label)]:
        parts["synonyms"] = {**own.synonyms, **{label: [] for label in unknown}}
    lines = [_HEAD.format(wanted=wanted, pictures=pictures, sample=ascii(sample)[1:-1])]
    if parts:
        lines.append(yaml.safe_dump(parts, allow_unicode=True, sort_keys=False).rstrip())
    lines.append("box_thresholds:")
    for name, limit in before.items():
        if calibration.labelling.label_meant(name) not in labels:
            lines.append(f"  {_entry(name, limit)}  # as it was: not in the sample")
    for row in calibration.labels:
        if row.label in labels:
            lines += _lines(row, before, calibration)
    return "\n".join(lines) + "\n"


def _lines(row: Calibrated, before: Mapping[str, float], calibration: Calibration) -> list[str]:
    """Return the lines of one label; its threshold as a comment where it is not to be used."""
    told = f"  # {_facts(row)}"
    if row.is_set:
        return [f"  {_entry(row.label, row.threshold)}{told}"]
    meant = calibration.labelling.label_meant
    kept = [
        f"  {_entry(n, old)}  # as it was" for n, old in before.items() if meant(n) == row.label
    ]
    if math.isnan(row.threshold):
        return [*kept, f"  # {row.label}{told}"]
    return [*kept, f"  # {_entry(row.label, row.threshold)}{told}"]


def _facts(row: Calibrated) -> str:
    """Say in one line what is known of a label's threshold."""
    before, after = row.before, row.after
    low, high = after.precision_interval
    facts = [
        f"precision {after.precision:.2f} ({low:.2f} to {high:.2f}), before {before.precision:.2f}",
        f"recall {after.recall:.2f}, before {before.recall:.2f}",
        f"{after.objects} of {before.objects} objects",
    ]
    if not math.isnan(row.interval[0]):
        facts.append(f"threshold {row.interval[0]:.2f} to {row.interval[1]:.2f}")
    return "; ".join(facts if row.source is Source.OWN else [*facts, f"by {row.source}"])


def _entry(name: str, limit: float) -> str:
    """Write a name and a number as YAML does: the name in quotes where it would be misread."""
    line: str = yaml.safe_dump({name: limit}, allow_unicode=True, width=10**6)
    return line.strip()


def _is_name(label: str) -> bool:
    """Tell whether a vocabulary file can name it."""
    return label.isprintable() and label == " ".join(label.split())
