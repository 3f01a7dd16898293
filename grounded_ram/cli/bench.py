"""``grounded-ram bench``: how long each stage takes here, and how long the usual way takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson, Compile, Device, Precision, PresetName
from grounded_ram.presets import Preset, resolve_preset

if TYPE_CHECKING:
    from grounded_ram.benchmark.report import Comparison, Report, StageTime
    from grounded_ram.benchmark.timing import Spread

_BUSY = 0.7
"""Processes that wanted to run in the last minute, on average; this one has just begun."""

OtherStage = Annotated[
    str | None, typer.Option(help="Another backend than the preset's.", show_default=False)
]


def bench(
    *,
    preset: PresetName = None,
    tagger: OtherStage = None,
    detector: OtherStage = None,
    segmenter: OtherStage = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 1,
    compile: Compile = False,  # torch's word for it
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the pictures.")] = "640x480",
    tags: Annotated[int, typer.Option(min=1, help="Words to look for in each picture.")] = 16,
    boxes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Boxes to segment in each picture: the best ones that lie apart.",
            show_default="those above the threshold; 10 with random weights",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="How many pictures.", show_default="one batch")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="How often to measure each picture.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="With which torch computes.")] = None,
    no_tagger: Annotated[
        bool, typer.Option("--no-tagger", help="Give the tags instead of asking the tagger.")
    ] = False,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="Measure the usual way, too, in turns: one picture at a time, float32, layers as "
            "published, nothing kept from picture to picture.",
        ),
    ] = False,
    draw: Annotated[
        bool, typer.Option("--draw", help="With --baseline: let both draw what they found.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how long each stage takes, and compare with what the machine can do.

    Pictures are drawn by code. Weights that are not on this machine are not downloaded.

    Random ones stand in for them: the networks take the same time with them.
    """
    given = {"tagger": tagger, "detector": detector, "segmenter": segmenter}
    others = {stage: name for stage, name in given.items() if name is not None}
    row: Preset = replace(resolve_preset(preset), **others)  # type: ignore[arg-type]
    with terminal.clean_stdout():
        from grounded_ram.benchmark.measure import measure
        from grounded_ram.benchmark.settings import Settings, parse_size

        settings = Settings(
            preset=row,
            device=device,
            dtype=dtype,
            batch=batch,
            compile=compile,
            size_wh=parse_size(size),
            tags=tags,
            boxes=boxes,
            pictures=images,
            repeat=repeat,
            threads=threads,
            asks_tagger=not no_tagger,
            baseline=baseline,
            draws=draw,
        )
        _warn_of_others()
        terminal.say("loading and warming up")
        report = measure(settings, _watch)
    if as_json:
        terminal.show_json(asdict(report))
    else:
        _show(report)


def _warn_of_others() -> None:
    """Say if others are at work on this machine."""
    if not hasattr(os, "getloadavg"):  # Windows
        return
    load = os.getloadavg()[0]
    if load > _BUSY:
        terminal.say(f"note: others are at work here (load {load:.1f}): all will take too long")


def _watch(turns: Iterable[int], count: int) -> Iterator[int]:
    return terminal.progress(turns, count, "measuring")


def _show(report: Report) -> None:
    """Print what was measured: a line, a table, the machine, and the usual way beside ours."""
    terminal.show(_title(report))
    terminal.show_table(
        (
            "stage",
            "backend",
            "ms a picture",
            "from",
            "to",
            "GFLOP",
            "floor, ms",
            "floor / measured",
        ),
        map(_stage_line, report.stages),
    )
    terminal.show(
        '"decode" reads JPEG files, "merge" is all between the stages, "annotate" that and the\n'
        'stages, "encode" makes records of a run, "export" a COCO file, "all" is the sum. The\n'
        "floor is the work of the published network at this machine's rate of a matrix product."
    )
    if not report.boxes:
        terminal.show("no boxes were found, so the segmenter had nothing to do: say --boxes 10")
    if report.random_stages:
        terminal.show(f"random weights: {', '.join(report.random_stages)}")
    if report.against_usual:
        terminal.show_table(
            ("stage", "ours, ms", "usual way, ms", "times as long", "from", "to"),
            map(_comparison_line, report.against_usual),
        )
        terminal.show(
            f"the usual way cut {report.usual_masks:.1f} masks a picture in float32, one picture "
            "at a time"
        )
    terminal.show(_machine_lines(report))


def _title(report: Report) -> str:
    width, height = report.size_wh
    text, compiled = report.text, ", compiled" if report.compiled else ""
    read = f" ({text.tokens} tokens, prompts: {text.prompts})" if text else ""
    return (
        f"{report.preset} on {report.device}, {report.dtype}{compiled}; pictures: "
        f"{report.pictures} of {width} x {height}, {report.batch} at a time; each measured "
        f"{report.repeat}x\n"
        f"in a picture: {report.tags} tags{read}, {report.boxes:.1f} boxes, "
        f"{report.objects:.1f} objects"
    )


def _stage_line(row: StageTime) -> tuple[str, ...]:
    share = "-" if row.share_of_floor is None else f"{row.share_of_floor:.1%}"
    work = (_number(row.gflop), _number(row.floor_ms), share)
    return row.name, row.backend or "", *_spread(row.ms), *work


def _comparison_line(row: Comparison) -> tuple[str, ...]:
    ratio = (f"{value:.2f}" for value in (row.ratio.median, row.ratio.least, row.ratio.most))
    return row.name, _number(row.ours_ms.median), _number(row.usual_ms.median), *ratio


def _machine_lines(report: Report) -> str:
    machine, memory = report.machine, report.memory
    gemm = (f"{name} {rate:,.0f}" for name, rate in machine.gemm_gflops.items())
    copies = (f"{way} {rate:.1f}" for way, rate in machine.copy_gb_s.items())
    most = {
        "host": memory.host,
        "GPU": memory.device,
        "host with the usual way": memory.host_with_usual,
        "GPU with the usual way": memory.device_with_usual,
    }
    told = (f"{where} {size / 1e9:.2f}" for where, size in most.items() if size is not None)
    versions = (f"{name} {number}" for name, number in report.versions.items())
    return "\n".join(
        [
            f"machine: {machine.processor}, {machine.threads} threads; networks on "
            f"{machine.device}",
            f"matrix product, GFLOP/s: {', '.join(gemm)}",
            f"copies, GB/s: {', '.join(copies)}",
            f"most memory, GB: {', '.join(told)}",
            f"versions: {', '.join(versions)}",
        ]
    )


def _spread(value: Spread) -> tuple[str, str, str]:
    return _number(value.median), _number(value.least), _number(value.most)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
