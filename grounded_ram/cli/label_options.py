"""Options of ``grounded-ram label``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class EngineKind(str, Enum):
    """Who labels."""

    local = "local"
    ray = "ray"


SourceNames = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Folders (their sub-folders too), files, patterns, @LIST, - for a list on standard "
        "input, COCO .json, .tar, .zip, shard-{000..099}.tar, videos, http(s) URLs.",
    ),
]
RunFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="RUN", help="Folder of the run.")
]
OtherTagger = Annotated[
    str | None,
    typer.Option(
        "--tagger", help="Instead of the preset's, such as ram-plus:swin-l.", show_default=False
    ),
]
WithCaptions = Annotated[
    bool,
    typer.Option("--captions", help="Also describe each picture, as --tagger tag2text:swin-b can."),
]
GPUs = Annotated[
    str | None,
    typer.Option(
        "--devices", metavar="0,1", help="One process on each of these GPUs.", show_default=False
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes, or actors, with models of their own.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads of each process; the same for a whole run, since the last digits of scores "
        "depend on it.",
        show_default="the cores, shared among the workers",
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        min=1,
        help="Pictures that each network takes at once; 8 or more keep a GPU busy.",
    ),
]
Decoders = Annotated[
    int, typer.Option(min=0, help="Processes that decode pictures ahead of each model.")
]
EngineName = Annotated[
    EngineKind, typer.Option("--engine", help="Who labels: this machine, or a Ray cluster.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of the Ray cluster.", show_default="a new one on this machine"),
]
ShareText = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Label the I-th of N shares only: one job of a scheduler; they may share RUN.",
        show_default=False,
    ),
]
Frames = Annotated[
    str, typer.Option(metavar="1s|30|scenes", help="Of videos: one a second, each 30th, ...")
]
ImagesRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the file names of a COCO file begin.",
        show_default="that file's folder",
    ),
]
OnlyNew = Annotated[
    bool, typer.Option("--only-new", help="Leave out pictures that have labels of another tool.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again those that failed.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew; asks before labels are deleted.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsEvents = Annotated[
    bool, typer.Option("--json", help="Print one JSON event a line on standard output.")
]
