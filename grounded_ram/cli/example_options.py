"""Options of commands that read examples, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Captions = Annotated[
    list[str],
    typer.Argument(
        metavar="CAPTIONS...",
        help="A .csv, .tsv or .jsonl file with pictures and captions, a folder of pictures "
        "with captions beside them, or COCO's .json files, of which there may be several.",
    ),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="The file of examples to write."),
]
Tags = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Keep these tags alone: the folder of `grounded-ram vocabulary build`, a file "
        "with a tag a line, ram or tag2text.",
        show_default="all",
    ),
]
ImagesFolder = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="FOLDER",
        help="Where names of pictures begin, if not at the folder of the file that has them.",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What parts tags in one cell of a table, or in one text of JSON Lines.",
        show_default="the one of | ; , that is in the column",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file of an earlier run.")]
