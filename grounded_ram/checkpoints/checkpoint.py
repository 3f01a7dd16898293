"""What a row is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grounded_ram.downloads import WeightFile


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The files that make one backend.

    Args:
        name: the backend's name, "adapter:checkpoint".
        summary: what it is, in one line.
        licence: SPDX name of the weights' licence, or what it calls itself.
        files: by role: "weights", "config" (JSON), "vocab" (BERT's vocab.txt), "tags" and
            "thresholds" (text, one a line); further ones as an adapter needs them.
        terms: what the licence forbids or asks for, if it does: said before a download.
    """

    name: str
    summary: str
    licence: str
    files: Mapping[str, WeightFile]
    terms: str = ""


def packaged(path: str) -> WeightFile:
    """Return the row of a file of this package's own, below ``grounded_ram/assets``."""
    return WeightFile(name=path.replace("/", "-"), source=f"package:{path}")
