"""One measurement from beginning to end."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import grounded_ram
from grounded_ram.benchmark.machine import (
    Machine,
    measure_machine,
    peak_device_bytes,
    peak_host_bytes,
)
from grounded_ram.benchmark.ours import Chunk, Ours
from grounded_ram.benchmark.pictures import jpegs
from grounded_ram.benchmark.report import Comparison, Memory, Report, StageTime
from grounded_ram.benchmark.settings import Settings
from grounded_ram.benchmark.timing import Clock, Spread
from grounded_ram.benchmark.usual_way import UsualWay
from grounded_ram.benchmark.work import (
    detector_flops,
    prompts_of,
    segmenter_flops,
    tagger_flops,
    text_of,
)
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.prompts import Prompt
from grounded_ram.runtime import dtype_name, pick_device, pick_dtype, torch_threads

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "segment-anything",
    "rf-groundingdino",
    "supervision",
    "numpy",
)

ROWS = {
    "decode": None,
    "tag": "tagger",
    "detect": "detector",
    "segment": "segmenter",
    "merge": None,
    "annotate": None,
    "encode": None,
    "overlay": None,
    "export": None,
    "all": None,
}
"""The steps and sums of a report in their order, with the stage of each that runs a network."""

Watch = Callable[[Iterable[int], int], Iterable[int]]
"""Passes numbers on and shows how many of them are done."""


@dataclass(frozen=True, eq=False)
class _Turn:
    """A few pictures in our way and, perhaps, in the usual one, whose times are of one picture."""

    ours: Chunk
    usual_ms: Mapping[str, float]
    usual_masks: int


def measure(settings: Settings, watch: Watch = lambda turns, count: turns) -> Report:
    """Load, warm up, and measure.

    Args:
        settings: what.
        watch: passes on the numbers of the turns.

    Raises:
        InputError: the machine has no such device, or the usual way has no such stage.
        UnknownNameError: no adapter or checkpoint has a stage's name.
        WeightsError: a stage needs files that are not here.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    GroundedRAM(settings.preset, device=device)  # knows the names, before anything takes time
    with torch_threads(settings.threads), tempfile.TemporaryDirectory() as folder:
        before = measure_machine(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        bench = _Bench(settings, Path(folder), device=device, dtype=dtype)
        turns, memory = bench.turns(watch), bench.memory()
        # Twice, since others may be at work on the machine.
        return bench.report(turns, before.faster(measure_machine(device)), memory)


class _Bench:
    """Both ways, loaded and warm."""

    def __init__(
        self, settings: Settings, folder: Path, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._settings, self._folder = settings, folder
        self._device, self._dtype = device, dtype
        files = jpegs(settings.count, settings.size_wh)
        self._chunks = [
            files[start : start + settings.batch]
            for start in range(0, settings.count, settings.batch)
        ]
        self._ours = Ours(
            settings,
            files[0],
            folder=folder,
            clock=Clock(device),
            device=device,
            dtype=dtype,
        )
        warm = self._ours.run(self._chunks[0])
        self._own_memory = Memory(host=peak_host_bytes(), device=peak_device_bytes(device))
        self._boxes_before = self._ours.boxes
        self._clock = Clock(device)
        self._usual = self._load_usual(warm.pixels[0]) if settings.baseline else None

    def _load_usual(self, pixels: Image) -> UsualWay:
        usual = UsualWay(
            self._ours.parts,
            self._ours.names,
            boxes=self._ours.fixed_boxes,
            device=self._device,
            clock=self._clock,
        )
        usual.run(pixels, self._draw_to)
        self._clock.take()
        return usual

    @property
    def _draw_to(self) -> Path | None:
        return self._folder / "usual.jpg" if self._settings.draws else None

    def turns(self, watch: Watch) -> list[_Turn]:
        """Take turns: all pictures, as often as was asked for."""
        count = self._settings.repeat * len(self._chunks)
        return [
            self._turn(self._chunks[turn % len(self._chunks)])
            for turn in watch(range(count), count)
        ]

    def _turn(self, chunk: Sequence[bytes]) -> _Turn:
        ours = self._ours.run(chunk)
        if self._usual is None:
            return _Turn(ours, {}, 0)
        masks = sum(len(self._usual.run(pixels, self._draw_to)) for pixels in ours.pixels)
        spent = self._clock.take()
        return _Turn(ours, {name: 1000 * s / len(chunk) for name, s in spent.items()}, masks)

    def memory(self) -> Memory:
        """Say how much memory it took so far at most."""
        host, on_device = peak_host_bytes(), peak_device_bytes(self._device)
        if self._usual is None:
            return Memory(host=host, device=on_device)
        return replace(self._own_memory, host_with_usual=host, device_with_usual=on_device)

    def report(self, turns: Sequence[_Turn], machine: Machine, memory: Memory) -> Report:
        """Sum up."""
        settings = self._settings
        pictures = settings.repeat * settings.count
        boxes = (self._ours.boxes - self._boxes_before) / pictures
        prompts = prompts_of(self._ours.parts["detector"], self._ours.names)
        return Report(
            versions=versions(),
            machine=machine,
            preset=settings.preset.name,
            device=str(self._device),
            dtype=dtype_name(self._dtype),
            batch=settings.batch,
            compiled=settings.compile,
            size_wh=settings.size_wh,
            pictures=settings.count,
            repeat=settings.repeat,
            tags=len(self._ours.names),
            text=text_of(prompts),
            boxes=boxes,
            objects=sum(turn.ours.objects for turn in turns) / pictures,
            usual_masks=(
                None if self._usual is None else sum(t.usual_masks for t in turns) / pictures
            ),
            stages=tuple(self._rows(turns, self._gflop(boxes, prompts), machine)),
            against_usual=tuple(compare([(t.ours.ms, t.usual_ms) for t in turns])),
            memory=memory,
        )

    def _gflop(self, boxes: float, prompts: Sequence[Prompt]) -> dict[str, float | None]:
        """Return the 10^9 operations a picture of each stage that runs a network."""
        parts, size_hw = self._ours.parts, self._settings.size_hw
        tag = tagger_flops(parts["tagger"]) if "tagger" in parts else None
        detect = detector_flops(parts["detector"], size_hw, prompts)
        segment = segmenter_flops(parts["segmenter"])
        cut: float | None = None
        if segment is not None:
            cut = segment[0] + boxes * segment[1] if boxes else 0  # without boxes nobody looks
        found = {"tag": tag, "detect": detect, "segment": cut}
        gflop = {name: None if n is None else n / 1e9 for name, n in found.items()}
        if "tagger" not in parts:
            del gflop["tag"]
        known = [n for n in gflop.values() if n is not None]
        whole = sum(known) if len(known) == len(gflop) else None
        return {**gflop, "annotate": whole, "all": whole}

    def _rows(
        self, turns: Sequence[_Turn], gflop: Mapping[str, float | None], machine: Machine
    ) -> Iterator[StageTime]:
        rate = machine.gemm_gflops[dtype_name(self._dtype)]
        for name, stage in ROWS.items():
            if name not in turns[0].ours.ms:
                continue
            ms = Spread.of([turn.ours.ms[name] for turn in turns])
            part = self._ours.parts.get(stage or "")
            work = gflop.get(name)
            floor = None if work is None else 1000 * work / rate
            yield StageTime(
                name=name,
                ms=ms,
                backend=None if part is None else part.name,
                random_weights=None if part is None else part.is_random,
                gflop=work,
                floor_ms=floor,
                share_of_floor=floor / ms.median if floor and ms.median else None,
            )


def compare(
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
) -> Iterator[Comparison]:
    """Compare step by step, pair by pair.

    Args:
        pairs: what ours and the usual way took, by step; no times of the usual way mean that it
            was not measured.
    """
    for name in ("tag", "detect", "segment", "draw", "all"):
        taken = [(_ours(ours, name), usual[name]) for ours, usual in pairs if name in usual]
        both = [(ours, usual) for ours, usual in taken if ours and usual]
        if both:
            yield Comparison(
                name=name,
                ours_ms=Spread.of([ours for ours, _ in both]),
                usual_ms=Spread.of([usual for _, usual in both]),
                ratio=Spread.of([usual / ours for ours, usual in both]),
            )


def _ours(ms: Mapping[str, float], name: str) -> float:
    """Return what ours took for what the usual way does."""
    return ms["annotate"] + ms.get("draw", 0.0) if name == "all" else ms.get(name, 0.0)


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of what computes."""
    found = {"grounded_ram": grounded_ram.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of another distribution
            continue
    return found
