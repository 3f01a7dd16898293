"""Options that say how wrong labels, or wrong tags, are told by their regions."""

from __future__ import annotations

from typing import Annotated

import typer

Share = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Of the regions of each label, this share is wrong: those that look least like the "
        "others.",
    ),
]
LeastDistance = Annotated[
    float,
    typer.Option(
        min=0,
        help="Of these, only what lies farther out than so many times the label's median; 1.2 "
        "spares labels without mistakes.",
    ),
]
Clusters = Annotated[
    int, typer.Option(min=1, help="Looks that one label may have; of few regions fewer.")
]
LeastRegions = Annotated[int, typer.Option(min=1, help="Compare no labels of fewer regions.")]
Contradictions = Annotated[
    bool,
    typer.Option(
        "--contradictions/--no-contradictions",
        help="Remove labels that the tagger does not see in the region alone.",
    ),
]
LeastAlone = Annotated[
    float,
    typer.Option(min=0, max=1, help="It does not see what it scores lower than this there."),
]
Margin = Annotated[
    float, typer.Option(min=0, help="Share of a box by which a crop is wider on each side.")
]
