"""Options of ``grounded-ram vocabulary build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CaptionParserName = Annotated[str, typer.Option("--parser", help="Who reads the captions.")]

Captions = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CAPTIONS...",
        help="Files of captions: .txt (one a line), .csv, .tsv, .jsonl, COCO's .json; any of them "
        ".gz or .zst; - for standard input.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FOLDER", help="Where it goes.", show_default=False),
]
Review = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Count nothing: write tags.txt and vocabulary.yaml anew from what you have made of "
        "FOLDER/review.csv.",
        show_default=False,
    ),
]
Top = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N",
        help="Keep the N most frequent tags, those of --start included; KIND=N limits a kind, as "
        "in --top object=6000 --top action=500, and 0 leaves it out.",
        show_default="10000",
    ),
]
Start = Annotated[
    str,
    typer.Option(
        metavar="LIST",
        help="Tags that stay in whatever their count: ram, tag2text, none, or a file with a tag a "
        "line.",
    ),
]
BuildVocabulary = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Your own edits in YAML: synonyms, parents, rename, allow and block count here.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="The column or key with captions; the number of a column, from 1, in a table without "
        "headings.",
        show_default="captions, caption, text or comment",
    ),
]
Layout = Annotated[
    str | None,
    typer.Option("--format", help="text, csv, tsv, jsonl or json.", show_default="by the ending"),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that parse; the result is the same.")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an earlier review.csv, and what you edited in it."),
]
Least = Annotated[int, typer.Option(min=1, help="Keep no tag of fewer captions.")]
