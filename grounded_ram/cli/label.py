"""``grounded-ram label``: a whole dataset, resumably, in any format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.export import Group, PictureKind, Pictures, Seed, Split, Target
from grounded_ram.cli.label_job import Job
from grounded_ram.cli.label_options import (
    Address,
    AsEvents,
    BatchSize,
    Decoders,
    EngineKind,
    EngineName,
    Frames,
    GPUs,
    ImagesRoot,
    OnlyNew,
    OtherTagger,
    Restart,
    RetryFailed,
    RunFolder,
    ShareText,
    SourceNames,
    Threads,
    WithCaptions,
    Workers,
    Yes,
)
from grounded_ram.cli.options import (
    BoxThreshold,
    Compile,
    Device,
    Formats,
    MaskKind,
    Masks,
    OwnTags,
    OwnVocabulary,
    OwnWeights,
    Precision,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    find_exporters,
    own_weights,
    split_tags,
)
from grounded_ram.errors import InputError
from grounded_ram.presets import resolve_preset

if TYPE_CHECKING:
    from grounded_ram.autolabel.engines import Engine
    from grounded_ram.autolabel.sources import Sources

REMEDY = "Type the command as it was, choose another folder with -o, or begin anew with --restart"
"""What to do where the folder holds a run that was begun otherwise."""


def label(
    sources: SourceNames,
    *,
    output: RunFolder = Path("grounded-ram-run"),
    formats: Formats = ["coco"],  # noqa: B006
    preset: PresetName = None,
    tagger: OtherTagger = None,
    captions: WithCaptions = False,
    tags: OwnTags = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    batch_size: BatchSize = 1,
    compile: Compile = False,  # torch's word for it
    devices: GPUs = None,
    workers: Workers = 1,
    threads: Threads = None,
    decoders: Decoders = 1,
    engine: EngineName = EngineKind.local,
    address: Address = None,
    shard: ShareText = None,
    frames: Frames = "1s",
    images_root: ImagesRoot = None,
    only_new: OnlyNew = False,
    retry_failed: RetryFailed = False,
    restart: Restart = False,
    yes: Yes = False,
    masks: MaskKind = Masks.rle,
    pictures: PictureKind = Pictures.link,
    split: Split = None,
    seed: Seed = 0,
    group: Group = None,
    as_json: AsEvents = False,
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
        from grounded_ram.autolabel.run_folder import Share, begin
        from grounded_ram.pipeline import GroundedRAM

        target.rehearse()
        share = Share() if shard is None else Share.parse(shard)
        opened = _opened(sources, output, frames, images_root)
        model = GroundedRAM(
            row,
            tagger=tagger,
            captions=captions,
            vocabulary=vocabulary,
            weights=own_weights(weights),
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            compile=compile,
        )
        who = _engine(engine, devices, workers, decoders, address=address)
        if restart:
            _forget(output, yes=yes)
        count = _threads(output, threads, workers)
        config = configuration(opened, model, asked, threads=count)
        job = Job(
            run=begin(output, config, again=restart, remedy=REMEDY),
            sources=opened,
            labeller=Labeller(model, None if asked is None else tuple(asked), count),
            engine=who,
            share=share,
            retry_failed=retry_failed,
            only_new=only_new,
            events=stdout if as_json else None,
        )
        terminal.caution(row)
        with terminal.downloading() as on_progress:
            model.fetch_weights(tagger=asked is None, on_progress=on_progress)
        job.do()
    job.finish(target)


def _opened(names: list[str], output: Path, frames: str, images_root: Path | None) -> Sources:
    """Return the sources, whose own copies of pictures the run will keep.

    Raises:
        InputError: there is no such source, or ``frames`` is none.
    """
    from grounded_ram.autolabel.run_folder import IMAGES
    from grounded_ram.autolabel.sources import open_sources
    from grounded_ram.autolabel.videos import check_frames

    check_frames(frames)
    return open_sources(
        names, keep_in=output / IMAGES, leave_out=[output], frames=frames, images_root=images_root
    )


def _threads(output: Path, given: int | None, workers: int) -> int | None:
    """Return the threads of each process: typed, as the run has them, or a fair share."""
    from grounded_ram.autolabel.run_folder import threads_of

    return given or threads_of(output, max(1, (os.cpu_count() or 1) // workers))


def _engine(
    kind: EngineKind, devices: str | None, workers: int, decoders: int, *, address: str | None
) -> Engine:
    """Choose who labels.

    Raises:
        InputError: options contradict one another.
    """
    from grounded_ram.autolabel.engines import Here, Processes

    if address is not None and kind is not EngineKind.ray:
        raise InputError("--address is that of a Ray cluster; say --engine ray too")
    if devices is not None and workers > 1:
        raise InputError("--devices begins a process for each GPU; leave --workers out")
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
    try:
        pictures = f"{sum(len(found.labelled) for _, found in Run(output).journals()):,}"
    except InputError:  # damaged, which is why somebody begins anew
        pictures = "an unknown number of"
    question = f"--restart deletes the labels of {pictures} pictures in {str(output)!r}"
    if pictures != "0" and not yes:
        if not terminal.is_watched():
            raise InputError(f"{question}; say --yes too, or choose another folder with -o")
        typer.confirm(f"{question}. Delete them?", abort=True, err=True)
    forget(output)
