"""``grounded-ram video``: a video in; its objects out: followed, drawn, as COCO for videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.label_job import INTERRUPTED
from grounded_ram.cli.label_options import BatchSize
from grounded_ram.cli.options import (
    AsJson,
    BoxThreshold,
    Device,
    OwnTags,
    OwnVocabulary,
    OwnWeights,
    Precision,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    own_weights,
    split_tags,
)
from grounded_ram.cli.places import writing_into
from grounded_ram.cli.watching import interruptible
from grounded_ram.presets import Preset, resolve_preset

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.video.annotate import Told
    from grounded_ram.video.result import Choices, VideoResult
    from grounded_ram.video.tracks import Track

MOST_TRACKS = 50
"""Objects that the table shows; the JSON has them all."""

STOPPING = "ending; what was annotated so far is written and drawn. Ctrl-C once more stops at once"
STOPPED = "stopped at once"

Source = Annotated[
    Path, typer.Argument(metavar="VIDEO", help="A file that OpenCV can read: mp4, mov, mkv, ...")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
]
Every = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Annotate each N-th frame; between them objects glide."),
]
TagFrames = Annotated[
    int,
    typer.Option(min=1, help="Ask the tagger about so many frames; look for its tags in all."),
]
MinFrames = Annotated[
    int, typer.Option(min=1, help="Leave out objects that are seen in fewer annotated frames.")
]
Patience = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="An object that is gone for longer gets a new number when it comes back.",
    ),
]
BeginThreshold = Annotated[
    float,
    typer.Option(min=0, max=1, help="Boxes scored below it go on with objects and begin none."),
]
Draw = Annotated[bool, typer.Option("--draw/--no-draw", help="Write the video with its objects.")]
KeepFrames = Annotated[
    bool,
    typer.Option(
        "--keep-frames", help="Also write the annotated frames as JPEG, for training on the JSON."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")
]

ANEW = "the command again, with --overwrite, to annotate the video anew"


def video(
    source: Source,
    *,
    output: Output = Path("grounded-ram-video"),
    preset: PresetName = None,
    tags: OwnTags = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    batch_size: BatchSize = 1,
    every: Every = 1,
    tag_frames: TagFrames = 16,
    min_frames: MinFrames = 2,
    patience: Patience = 1.0,
    begin_threshold: BeginThreshold = 0.0,
    draw: Draw = True,
    keep_frames: KeepFrames = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Follow the objects of a video: numbers and labels that stay; overlay, COCO, a table.

    Exit code 0: done; 2: wrong usage; 130: interrupted, what was done until then is written.
    """
    row = adjusted(resolve_preset(preset), tag_threshold, box_threshold, rules)
    asked = split_tags(tags)
    with terminal.clean_stdout(), writing_into(output, ANEW):
        from grounded_ram.pipeline import GroundedRAM
        from grounded_ram.video.annotate import check_video
        from grounded_ram.video.result import Choices

        check_video(source, output, overwrite=overwrite)
        choices = Choices(
            every=every,
            tag_frames=tag_frames,
            min_frames=min_frames,
            patience_s=patience,
            begin_threshold=begin_threshold,
            draw=draw,
            keep_frames=keep_frames,
        )
        model = GroundedRAM(
            row,
            vocabulary=vocabulary,
            weights=own_weights(weights),
            device=device,
            dtype=dtype,
            batch_size=batch_size,
        )
        _fetch(model, row, tagger=asked is None)
        result = _run(model, source, output, tags=asked, choices=choices)
    _show(result, as_json=as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _fetch(model: GroundedRAM, preset: Preset, *, tagger: bool) -> None:
    """Say what must be known of the preset, and download what is not there."""
    terminal.caution(preset)
    with terminal.downloading() as on_progress:
        model.fetch_weights(tagger=tagger, on_progress=on_progress)


def _run(
    model: GroundedRAM,
    source: Path,
    output: Path,
    *,
    tags: list[str] | None,
    choices: Choices,
) -> VideoResult:
    """Annotate; the first Ctrl-C ends the annotating, the next the drawing."""
    from grounded_ram.video.annotate import annotate_video

    asked: list[bool] = []

    def first() -> None:
        asked.append(True)
        terminal.say(STOPPING)

    with interruptible(first, STOPPED), _watching() as told:
        return annotate_video(
            model,
            source,
            output,
            tags=tags,
            choices=choices,
            overwrite=True,  # it was checked before the weights were read
            stop=lambda: bool(asked),
            on_progress=told,
        )


@contextmanager
def _watching() -> Iterator[Told]:
    """Draw a bar where somebody watches."""
    if not terminal.is_watched():
        yield lambda what, done, of: None
        return
    with terminal.bar("reading") as update:

        def told(what: str, done: int, of: int) -> None:
            total = f" of {of:,}" if of else ""
            update(done, max(of, done) if of else None, f"{what}: {done:,}{total} frames")

        yield told


def _show(result: VideoResult, *, as_json: bool) -> None:
    """Print the objects, the notes and where things lie."""
    if as_json:
        terminal.show_json(result.record())
        return
    if result.tracks:
        heading = ("object", "label", "score", "frames", "seconds")
        terminal.show_table(heading, map(_line, result.tracks[:MOST_TRACKS]))
    if len(result.tracks) > MOST_TRACKS:
        terminal.show(f"... and {len(result.tracks) - MOST_TRACKS} more objects")
    for note in result.notes:
        terminal.say(f"note: {note}")
    terminal.show(f"frames annotated: {result.annotated:,}, objects: {len(result.tracks):,}")
    if result.left_out:
        terminal.show(f"objects seen in too few frames, left out: {result.left_out:,}")
    for what, path in result.files().items():
        terminal.show(f"{what}: {path}")
    if result.interrupted:
        terminal.say(_stopped(result))


def _line(track: Track) -> tuple[str, ...]:
    return (
        f"#{track.id}",
        track.label,
        f"{track.score:.2f}",
        f"{track.frames:,}",
        f"{track.first_second:.1f} - {track.last_second:.1f}",
    )


def _stopped(result: VideoResult) -> str:
    if not result.annotated:
        return "stopped before a frame was annotated; nothing was written"
    return f"stopped; the files hold the first {result.annotated:,} frames that were annotated"
