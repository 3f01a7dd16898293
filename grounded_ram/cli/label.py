"""``grounded-ram label``: a whole dataset, resumably, in any format."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.export import (
    Group,
    PictureKind,
    Pictures,
    Seed,
    Split,
    Target,
    show_written,
)
from grounded_ram.cli.options import (
    BoxThreshold,
    Device,
    Formats,
    MaskKind,
    Masks,
    OwnTags,
    OwnVocabulary,
    OwnWeights,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    find_exporters,
    own_weights,
    split_tags,
)
from grounded_ram.cli.watching import Tally, watching
from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import InputError
from grounded_ram.presets import resolve_preset

if TYPE_CHECKING:
    from grounded_ram.autolabel.engines import Engine
    from grounded_ram.autolabel.items import Item
    from grounded_ram.autolabel.labeller import Labeller
    from grounded_ram.autolabel.run_folder import Run, Share
    from grounded_ram.autolabel.sources import Sources

INTERRUPTED = 130

MOST_CLASSES = 40
"""Labels that the table shows; summary.json has them all."""


class EngineKind(str, Enum):
    """Who labels."""

    local = "local"
    ray = "ray"


@dataclass
class Job:
    """What one command has to do, and what it found on the way.

    Args:
        run: where it is written down.
        sources: the pictures.
        labeller: labels them.
        engine: who does it.
        share: which of them.
    """

    run: Run
    sources: Sources
    labeller: Labeller
    engine: Engine
    share: Share
    retry_failed: bool
    only_new: bool
    events: TextIO | None
    skipped: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False

    def items(self) -> Iterator[Item]:
        """Return the items of the sources; what is none, and what has labels, is counted."""
        from grounded_ram.autolabel.items import Skipped

        for one in self.sources.items():
            if isinstance(one, Skipped):
                self.skipped[one.reason.partition(":")[0]] += 1
            elif self.only_new and (found := self.sources.is_labelled(one)) is not None:
                self.skipped[f"has labels of {found.partition(':')[0]} already"] += 1
            else:
                yield one

    def do(self) -> None:
        """Label what is not labelled yet; Ctrl-C finishes what was begun."""
        from grounded_ram.autolabel.run import label, todo

        with (
            self.run.open_part(self.share) as part,
            watching(self.events) as watcher,
            _interruptible(self),
        ):
            known = len(part.labelled) + (0 if self.retry_failed else len(part.failed))
            tally = Tally(self.sources.count() if self.share.of == 1 else None, known)
            rest = todo(part, self.items(), share=self.share, retry_failed=self.retry_failed)
            labelled = label(
                part,
                rest,
                labeller=self.labeller,
                engine=self.engine,
                stop=lambda: self.interrupted,
            )
            for outcomes in labelled:
                tally.add(outcomes)
                watcher.told(tally, outcomes)


@contextmanager
def _interruptible(job: Job) -> Iterator[None]:
    """Let the first Ctrl-C, or a scheduler's SIGTERM, end the run after what was begun."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if job.interrupted:
            raise KeyboardInterrupt
        job.interrupted = True
        terminal.say("finishing the pictures that were begun; Ctrl-C once more stops at once")

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _saying_how_to_go_on(output: Path) -> Iterator[None]:
    """Say of a full disk what to do about it."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFullError(
            f"the disk is full: {error}. All that was labelled before is kept in {output}; "
            "make room, and type the same to go on"
        ) from error


def label(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Folders (their sub-folders too), files, patterns, @LIST, - for a list on "
            "standard input, COCO .json, .tar, .zip, shard-{000..099}.tar, videos, http(s) URLs.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="Folder of the run.")
    ] = Path("grounded-ram-run"),
    formats: Formats = ["coco"],  # noqa: B006
    preset: PresetName = None,
    tagger: Annotated[
        str | None,
        typer.Option(help="Instead of the preset's, such as ram-plus:swin-l.", show_default=False),
    ] = None,
    captions: Annotated[
        bool,
        typer.Option(
            "--captions", help="Also describe each picture, as --tagger tag2text:swin-b can."
        ),
    ] = False,
    tags: OwnTags = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    devices: Annotated[
        str | None,
        typer.Option(metavar="0,1", help="One process on each of these GPUs.", show_default=False),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes with models of their own, on the CPU.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of each process; the same for a whole run, since the last digits of "
            "scores depend on it.",
            show_default="the cores, shared among the workers",
        ),
    ] = None,
    decoders: Annotated[
        int, typer.Option(min=0, help="Processes that decode pictures ahead of each model.")
    ] = 1,
    engine: Annotated[
        EngineKind, typer.Option(help="Who labels: this machine, or a Ray cluster.")
    ] = EngineKind.local,
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster.", show_default="a new one on this machine"),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Label the I-th of N shares only: one job of a scheduler; they may share RUN.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        str, typer.Option(metavar="1s|30|scenes", help="Of videos: one a second, each 30th, ...")
    ] = "1s",
    images_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the file names of a COCO file begin.",
            show_default="that file's folder",
        ),
    ] = None,
    only_new: Annotated[
        bool,
        typer.Option("--only-new", help="Leave out pictures that have labels of another tool."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again those that failed.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew; asks before labels are deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Also draw the labels on each picture.")
    ] = False,
    masks: MaskKind = Masks.rle,
    pictures: PictureKind = Pictures.link,
    split: Split = None,
    seed: Seed = 0,
    group: Group = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON event a line on standard output.")
    ] = False,
) -> None:
    """Label a dataset of any size; typed again, go on where it stopped.

    Exit code 0: all done; 1: some pictures failed; 2: wrong usage; 130: interrupted.
    """
    row = adjusted(resolve_preset(preset), tag_threshold, box_threshold, rules)
    asked = split_tags(tags)
    target = Target(
        exporters=find_exporters(formats),
        masks=masks,
        pictures=pictures,
        split=split,
        seed=seed,
        group=group,
    )
    with terminal.clean_stdout() as stdout:
        from grounded_ram.autolabel.labeller import Labeller
        from grounded_ram.autolabel.run import configuration
        from grounded_ram.autolabel.run_folder import IMAGES, OVERLAYS, Share, begin
        from grounded_ram.autolabel.sources import open_sources
        from grounded_ram.pipeline import GroundedRAM

        target.rehearse()
        share = Share() if shard is None else Share.parse(shard)
        opened = open_sources(sources, keep_in=output / IMAGES, leave_out=[output], frames=frames)
        model = GroundedRAM(
            row,
            tagger=tagger,
            captions=captions,
            vocabulary=vocabulary,
            weights=own_weights(weights),
            device=device,
        )
        if restart:
            _forget(output, yes=yes)
        count = _threads(output, threads, workers)
        config = configuration(opened, model, asked, threads=count, overlays=overlays)
        job = Job(
            run=begin(output, config, again=restart),
            sources=opened,
            labeller=Labeller(
                model,
                None if asked is None else tuple(asked),
                output / OVERLAYS if overlays else None,
                count,
            ),
            engine=_engine(engine, devices, workers, decoders, address=address),
            share=share,
            retry_failed=retry_failed,
            only_new=only_new,
            events=stdout if as_json else None,
        )
        terminal.caution(row)
        with terminal.downloading() as on_progress:
            model.fetch_weights(tagger=asked is None, on_progress=on_progress)
        with _saying_how_to_go_on(output):
            job.do()
    if job.interrupted:
        terminal.say(f"stopped; all that was labelled is kept in {output}. To go on, type the same")
        raise typer.Exit(INTERRUPTED)
    if share.of > 1:
        terminal.say(
            f"share {share} is done; when all are: grounded-ram export {output} --format ..."
        )
        raise typer.Exit(1 if job.run.failures() else 0)
    _finish(job, target)


def _threads(output: Path, given: int | None, workers: int) -> int:
    """Return the threads of each process: typed, as the run has them, or a fair share."""
    from grounded_ram.autolabel.run_folder import CONFIG, Run

    if given is None and (output / CONFIG).exists():
        return int(Run(output).config["threads"])
    return given or max(1, (os.cpu_count() or 1) // workers)


def _engine(
    kind: EngineKind, devices: str | None, workers: int, decoders: int, *, address: str | None
) -> Engine:
    """Choose who labels."""
    from grounded_ram.autolabel.engines import Here, Processes

    gpus = [] if devices is None else [f"cuda:{number.strip()}" for number in devices.split(",")]
    if kind is EngineKind.ray:
        from grounded_ram.autolabel.ray_engine import OnRay

        return OnRay(max(workers, len(gpus)), address, gpus=1 if gpus else 0)
    if gpus:
        return Processes(gpus, decoders)
    return Processes(["cpu"] * workers, decoders) if workers > 1 else Here(decoders)


def _forget(output: Path, *, yes: bool) -> None:
    """Delete what a run knows, if the user says so.

    Raises:
        InputError: there is nobody to ask.
    """
    from grounded_ram.autolabel.run_folder import CONFIG, Run, forget

    if not (output / CONFIG).exists():
        return
    pictures = sum(len(found.labelled) for _, found in Run(output).journals())
    question = f"--restart deletes the labels of {pictures:,} pictures in {str(output)!r}"
    if pictures and not yes:
        if not terminal.is_watched():
            raise InputError(f"{question}; say --yes too, or choose another folder with -o")
        typer.confirm(f"{question}. Delete them?", abort=True, err=True)
    forget(output)


def _finish(job: Job, target: Target) -> None:
    """Write the summary and the formats, and say what came of the run."""
    from grounded_ram.autolabel.summary import summarize
    from grounded_ram.export.files import replacing, write_json

    run, failures = job.run, job.run.failures()
    dataset = run.dataset()
    summary = summarize(
        dataset, failures=failures, duplicates=run.duplicates(), skipped=job.skipped
    )
    write_json(summary, run.summary, indent=2)
    with replacing(run.failures_file) as file:
        for name, reason in failures:
            file.write(json.dumps({"name": name, "reason": reason}).encode() + b"\n")
    written = target.write(dataset, run.folder) if len(dataset) else {}
    if job.events is not None:
        folders = {name: str(one.folder) for name, one in written.items()}
        terminal.show_event(job.events, "done", summary=summary, formats=folders)
    else:
        show_summary(summary, run)
        show_written(written)
    if failures:
        raise typer.Exit(1)


def show_summary(summary: dict[str, Any], run: Run) -> None:
    """Print the counts, and what to look at first."""
    classes = summary["classes"]
    if classes:
        terminal.show_table(
            ("label", "objects", "mean score"),
            (
                (one["name"], str(one["objects"]), f"{one['mean_score']:.2f}")
                for one in classes[:MOST_CLASSES]
            ),
        )
    if len(classes) > MOST_CLASSES:
        terminal.show(f"... and {len(classes) - MOST_CLASSES} more labels")
    terminal.show(
        f"pictures: {summary['pictures']:,}, objects: {summary['objects']:,}, "
        f"without objects: {summary['without_objects']:,}, "
        f"failed: {sum(summary['failed'].values()):,}"
    )
    for what in ("failed", "skipped"):
        for reason, count in summary[what].items():
            terminal.say(f"{what}: {count:,}: {reason}")
    if count := summary["duplicates"]["pictures"]:
        terminal.say(f"same file under several names: {count:,}, such as:")
        terminal.say("  " + " = ".join(summary["duplicates"]["first"][0]))
    _show_first(summary["look_first"])
    terminal.show(f"summary: {run.summary}")
    if summary["failed"]:
        terminal.show(f"failed pictures, and why: {run.failures_file}")


def _show_first(first: dict[str, Any]) -> None:
    """Print what to look at first."""
    if missed := first["seen_but_not_found"]:
        names = ", ".join(f"{name} {count}" for name, count in missed.items())
        terminal.show(f"seen and not found: {names}")
    if unsure := first["least_sure"]:
        names = ", ".join(f"{one['picture']} ({one['label']})" for one in unsure[:3])
        terminal.show(f"least sure: {names}")
