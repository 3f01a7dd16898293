"""What came of one picture of a dataset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Labelled:
    """A picture that was labelled.

    Args:
        name: its path inside the dataset.
        sha256: of its file.
        objects: how many were found; may be 0.
        record: its annotation, as ``export.records.encode`` writes it.
    """

    name: str
    sha256: str
    objects: int
    record: bytes


@dataclass(frozen=True)
class Failed:
    """A picture that gave nothing.

    Args:
        name: its path inside the dataset.
        reason: what was wrong.
    """

    name: str
    reason: str


Outcome = Labelled | Failed
