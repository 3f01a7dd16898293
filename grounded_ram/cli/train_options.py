"""Options of ``grounded-ram train``, each written once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Queries(str, Enum):
    """Where the queries of new tags come from."""

    auto = "auto"
    clip = "clip"
    learnt = "learnt"


Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="A .csv, .tsv or .jsonl file of pictures with tags or captions, a folder of pictures "
        "with captions beside them or with a sub-folder a class, a run of `grounded-ram label`, "
        "or COCO's .json files, of which there may be several.",
    ),
]
Folder = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FOLDER", help="Of the training; typed again, it goes on."
    ),
]
StartFrom = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="NAME|FOLDER",
        help="A tagger such as ram:swin-l, ram-plus:swin-l, ram-captions:swin-l, tag2text:swin-b "
        "or ram:tiny, or the folder `model` of an earlier training.",
        show_default="the tagger of the default preset",
    ),
]
FromNothing = Annotated[
    bool, typer.Option("--from-nothing", help="Take its sizes alone, with random weights.")
]
Captions = Annotated[
    bool, typer.Option("--captions", help="Train what writes captions, too: RAM and Tag2Text.")
]
AlignTexts = Annotated[
    bool,
    typer.Option("--alignment", help="Train Tag2Text's image-text alignment, for retrieval."),
]
Distil = Annotated[
    bool, typer.Option("--distil", help="Learn CLIP's view of pictures, too: RAM and RAM++.")
]
QueriesOf = Annotated[
    Queries,
    typer.Option(
        help="Of tags that the start does not know: embedded by CLIP's text encoder, so that "
        "further words can be asked for later; or learnt. auto: clip where it fits."
    ),
]
Tags = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Tags to learn: a file with one a line, the folder of `grounded-ram vocabulary "
        "build`, ram or tag2text.",
        show_default="all tags of the data",
    ),
]
Least = Annotated[int, typer.Option(min=1, help="Pictures that a tag must have to be learnt.")]
HoldOut = Annotated[
    float,
    typer.Option(min=0, max=0.9, help="Share of the pictures kept apart, to measure with."),
]
Epochs = Annotated[float, typer.Option(min=0.001, help="How often each picture is seen.")]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Steps in all, instead of --epochs.", show_default=False)
]
Batch = Annotated[int, typer.Option("--batch-size", min=1, help="Pictures a step, of each GPU.")]
AtOnce = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pictures in memory together; gradients add up over the batch. Where memory is short "
        "it is halved by itself.",
        show_default="the batch",
    ),
]
Rate = Annotated[float, typer.Option("--learning-rate", min=1e-9, help="The highest rate.")]
Freeze = Annotated[bool, typer.Option("--freeze", help="Let the image encoder stay as it is.")]
LookOnce = Annotated[
    bool,
    typer.Option(
        "--look-once",
        help="Freeze the image encoder and keep what it makes of each picture: it looks at each "
        "once, uncut, and the rest learns many times faster.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of weights, order and chance.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read pictures.")]
Processes = Annotated[
    int, typer.Option("--devices", min=1, help="GPUs that learn together, a process each.")
]
EvaluateEvery = Annotated[
    int, typer.Option(min=0, help="Steps between two measurements; 0: only at the end.")
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write logs for TensorBoard, beside log.csv.")
]
