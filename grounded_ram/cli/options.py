"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from grounded_ram.errors import InputError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]

OwnWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="STAGE=PATH",
        help="Use this file as the weights of the tagger, detector or segmenter; STAGE.ROLE=PATH "
        "replaces another of its files. May come several times.",
        show_default=False,
    ),
]

OwnVocabulary = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        metavar="FILE",
        help="Your own edits of what is looked for and how labels are called, in YAML; words of "
        "--tags are looked for as they are.",
        show_default=False,
    ),
]


def own_weights(given: Sequence[str] | None) -> dict[str, str]:
    """Take apart what ``--weights`` was given: paths by stage, or by "stage.role".

    Raises:
        InputError: one is not of the form STAGE=PATH.
    """
    paths = {}
    for text in given or ():
        stage, equals, path = text.partition("=")
        if not (stage and equals and path):
            raise InputError(f"--weights expects STAGE=PATH, as in tagger=ram.pth; got {text!r}")
        paths[stage] = path
    return paths
