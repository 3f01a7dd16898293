"""What a dataset run costs beside the models: time, and memory as it goes on.

    python -m tests.benchmarks.labelling time [PICTURES]
    python -m tests.benchmarks.labelling memory [PICTURES]
    python -m tests.benchmarks.labelling machinery [PICTURES]

"time" labels drawn scenes of 640 x 480 with the tiny preset in one process and one thread, and says
which share of the time was spent outside of the three stages; then what each format takes, as a
share of the time that labelling took. "memory" labels small pictures (10,000 of 64 x 64) and prints
the resident memory of all processes as it goes on. "machinery" does so with 50,000 pictures and a
model without networks, so that the run alone is seen, and exports them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image

PICTURES = {"time": 60, "memory": 10_000, "machinery": 50_000}


class Timed:
    """A stage that adds up the time in its methods."""

    def __init__(self, stage: Any, spent: list[float]) -> None:
        self._stage = stage
        self._spent = spent

    def _time(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            self._spent[0] += time.perf_counter() - start

    def tag(self, *arguments: Any, **options: Any) -> Any:
        return self._time(self._stage.tag, *arguments, **options)

    def detect(self, *arguments: Any, **options: Any) -> Any:
        return self._time(self._stage.detect, *arguments, **options)

    def segment(self, *arguments: Any, **options: Any) -> Any:
        return self._time(self._stage.segment, *arguments, **options)


def draw(folder: Path, count: int, size_hw: tuple[int, int]) -> None:
    from grounded_ram.scenes.scene import make_scene

    for number in range(count):
        path = folder / f"{number // 500:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene = make_scene(2_000_000 + number, size=max(size_hw)).image[: size_hw[0], : size_hw[1]]
        PIL.Image.fromarray(scene).save(path, quality=92)


def measure_time(folder: Path, count: int) -> None:
    from grounded_ram.autolabel.engines import Here
    from grounded_ram.autolabel.exports import write_format
    from grounded_ram.autolabel.labeller import Labeller
    from grounded_ram.autolabel.run import label, todo
    from grounded_ram.autolabel.run_folder import Share, begin
    from grounded_ram.autolabel.sources import Item, open_sources
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.registry import EXPORTERS, find_exporter

    draw(folder / "photos", count, (480, 640))
    plain, spent = GroundedRAM("tiny"), [0.0]
    stages = {
        name: Timed(getattr(plain, name), spent) for name in ("tagger", "detector", "segmenter")
    }
    labeller = Labeller(GroundedRAM("tiny", **stages), threads=1)
    labeller.model.annotate(next((folder / "photos").rglob("*.jpg")))  # loads what is loaded once
    run = begin(folder / "run", {"model": plain.record()})
    sources = open_sources([str(folder / "photos")], keep_in=folder / "kept")
    spent[0], objects = 0.0, 0
    with run.open_part(Share()) as part:
        items = (one for one in todo(part, sources.items()) if isinstance(one, Item))
        start = None
        for outcomes in label(part, items, labeller=labeller, engine=Here(1)):
            if start is None:  # the process that decodes has begun
                start, spent[0] = time.perf_counter(), 0.0
                continue
            objects += sum(one.objects for one in outcomes)
        took = time.perf_counter() - start
    print(f"{count} pictures of 640 x 480, {objects} objects: {(count - 4) / took:.2f} a second")
    print(f"outside of the three stages: {1 - spent[0] / took:.1%} of the time")
    dataset = run.dataset()
    for name in EXPORTERS:
        start = time.perf_counter()
        write_format(dataset, find_exporter(name), folder / "formats" / name)
        print(f"format {name}: {(time.perf_counter() - start) / took:.2%} of the time of labelling")


def measure_memory(folder: Path, count: int) -> None:
    draw(folder / "photos", count, (64, 64))
    command = [sys.executable, "-m", "grounded_ram", "label", str(folder / "photos")]
    command += ["-o", str(folder / "run"), "--preset", "tiny", "--threads", "1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    shown = 0
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["done"] >= shown:
            print(f"{event['done']:6d} pictures: {event['memory_mb']} MB", flush=True)
            shown += max(count // 20, 1)
    assert process.wait() == 0


def measure_machinery(folder: Path, count: int) -> None:
    import psutil

    from grounded_ram.autolabel.engines import Here
    from grounded_ram.autolabel.exports import write_format
    from grounded_ram.autolabel.labeller import Labeller
    from grounded_ram.autolabel.run import label, todo
    from grounded_ram.autolabel.run_folder import Share, begin
    from grounded_ram.autolabel.sources import Item, open_sources
    from grounded_ram.registry import find_exporter
    from tests.colours import COLOURS, colours_model
    from tests.colours import draw as draw_patches

    def tell(what: str) -> None:
        memory = psutil.Process().memory_info().rss / 1e6
        print(f"{time.perf_counter() - start:6.0f} s, {memory:5.0f} MB: {what}", flush=True)

    for number in range(count):
        place = folder / "photos" / f"{number // 500:03d}" / f"{number:06d}.png"
        first = (number >> 16, number >> 8 & 255, number & 255)
        draw_patches(place, *tuple(COLOURS)[: number % 4], first=(first[0] + 9, *first[1:]))
    start = time.perf_counter()
    model = colours_model()
    run = begin(folder / "run", {"model": model.record()})
    sources = open_sources([str(folder / "photos")], keep_in=folder / "kept")
    done = shown = 0
    with run.open_part(Share()) as part:
        items = (one for one in todo(part, sources.items()) if isinstance(one, Item))
        for outcomes in label(part, items, labeller=Labeller(model, threads=1), engine=Here(0)):
            done += len(outcomes)
            if done >= shown:
                tell(f"{done} pictures labelled")
                shown += count // 10
    for name in ("coco", "yolo", "csv"):
        write_format(run.dataset(), find_exporter(name), folder / name)
        tell(f"{name} written")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    what = sys.argv[1]
    many = int(sys.argv[2]) if len(sys.argv) > 2 else PICTURES[what]
    with tempfile.TemporaryDirectory() as place:
        kinds = {"time": measure_time, "memory": measure_memory, "machinery": measure_machinery}
        kinds[what](Path(place), many)
