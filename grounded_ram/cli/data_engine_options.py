"""Options of ``grounded-ram data-engine`` that ``grounded-ram train`` lacks, and its steps."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

STEPS = {
    "1-first": ("the first model learns", "step"),
    "2-generated.jsonl": ("it adds tags that are missing", "picture"),
    "3-cleaned.jsonl": ("regions of tags are compared", "picture"),
    "4-again": ("the second model learns", "step"),
    "5-fine": ("it is fine-tuned", "step"),
}
"""What each step of the loop is called, and what it counts."""


class Unfound(str, Enum):
    """Which tags without a region go."""

    keep = "keep"
    unseen = "unseen"
    remove = "remove"


LoopFolder = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FOLDER", help="Of the loop; typed again, it goes on."),
]
Fine = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DATA",
        help="Few pictures with tags that are right and whole, to fine-tune with in the end. "
        "May come several times.",
        show_default=False,
    ),
]
Truth = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DATA",
        help="Pictures with tags that are right and whole, to measure with, instead of those "
        "that --hold-out keeps apart. May come several times.",
        show_default=False,
    ),
]
Told = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=1,
        help="Of what the held-out pictures show, the share that their tags tell: below 1 where "
        "captions leave things out, often 0.5. The smaller, the more the first model adds.",
    ),
]
Captions = Annotated[
    bool,
    typer.Option("--captions", help="Train and add captions, too: RAM and Tag2Text."),
]
FineEpochs = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="How often each picture of --fine is seen.",
        show_default="as --epochs",
    ),
]
FineRate = Annotated[
    float | None,
    typer.Option(
        min=1e-9, help="The highest rate of fine-tuning.", show_default="a tenth of the other"
    ),
]
DetectorName = Annotated[
    str | None,
    typer.Option(help="What finds the regions of tags.", show_default="the preset's"),
]
UnfoundTags = Annotated[
    Unfound,
    typer.Option(
        help="Which tags that no region is found of go: none, those that the first model does not "
        "see in the picture either, or all of things that have a place."
    ),
]
