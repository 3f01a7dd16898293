"""Labels of the plain chain and ours: python tests/benchmarks/label_quality.py [--scenes 500].

Runs both over the same networks of the tiny preset, on scenes that nothing was trained on, and
prints a table. The plain chain stands in it with the thresholds of the script that it is modelled
on, and with thresholds at which it finds as much as ours does: its scores are on another scale.
It glues true words together, "automobile car", so that it never gets near the recall of ours unless
that is let pass for a right label; equal recall is meant so. All three readings are printed.
With --json FILE every result is kept, a scene a line, and a second run goes on where the first
stopped; remove the file when weights or code have changed.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the chain lies among the tests

from grounded_ram.evaluation.picture_book import FIRST_SEED
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from tests.label_quality import Counts, Reading, Result, compare, judge
from tests.plain_chain import BOX_THRESHOLD, TEXT_THRESHOLD, PlainChain

LEAST = 0.04
BOX_THRESHOLDS = np.arange(LEAST, 0.98, 0.02).round(2).tolist()
TEXT_THRESHOLDS = (0.05, 0.1, 0.15, TEXT_THRESHOLD, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
SAME_RECALL = 0.01
READINGS: tuple[Reading, ...] = get_args(Reading)
TUNED: Reading = "words"


@dataclass(frozen=True)
class Scored:
    """One scene: its objects, what each chain found, the plain one's labels by text threshold."""

    seed: int
    true_names: list[str]
    ours: list[Result]
    plain: list[Result]
    plain_labels: dict[str, list[str]]

    @classmethod
    def from_json(cls, line: str) -> "Scored":
        fields: dict[str, Any] = json.loads(line)
        found = {chain: [Result(**row) for row in fields[chain]] for chain in ("ours", "plain")}
        return cls(**{**fields, **found})

    def plain_at(self, box_threshold: float, text_threshold: float) -> list[Result]:
        labels = self.plain_labels[str(text_threshold)]
        pairs = zip(self.plain, labels, strict=True)
        return [replace(row, label=label) for row, label in pairs if row.score > box_threshold]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    title: str
    counts: Mapping[Reading, Counts]


def look(model: GroundedRAM, chain: PlainChain, seed: int) -> Scored:
    """Run both chains on a scene."""
    scene = make_scene(seed)
    ours = compare(scene, model.annotate(scene.image, color="rgb").detections)
    seen = chain.see(scene.image, LEAST)
    return Scored(
        seed,
        [thing.name for thing in scene.objects],
        ours,
        compare(scene, seen.detections(LEAST, TEXT_THRESHOLD)),
        {str(threshold): seen.phrases(threshold) for threshold in TEXT_THRESHOLDS},
    )


def scored(seeds: Iterable[int], file: Path | None) -> Iterator[Scored]:
    """Take scenes from the file, and run and append those that it lacks."""
    lines = file.read_text().splitlines() if file is not None and file.exists() else []
    kept = {row.seed: row for row in map(Scored.from_json, lines)}
    model = GroundedRAM("tiny")
    chain = PlainChain(model)
    for seed in seeds:
        if seed not in kept:
            kept[seed] = look(model, chain, seed)
            if file is not None:
                with file.open("a") as out:
                    print(json.dumps(asdict(kept[seed])), file=out)
        yield kept[seed]


def plain_row(scenes: Sequence[Scored], title: str, box: float, text: float) -> Row:
    found = [(scene.true_names, scene.plain_at(box, text)) for scene in scenes]
    return _row(f"{title}: box {box:.2f}, text {text:.2f}", found)


def tuned_row(
    scenes: Sequence[Scored], title: str, recall: float, text_thresholds: Sequence[float]
) -> Row:
    """Find what is most precise of all that comes near enough to a recall, or comes nearest."""
    points = []
    for text in text_thresholds:
        for box in BOX_THRESHOLDS:
            found = [(scene.true_names, scene.plain_at(box, text)) for scene in scenes]
            counts = _total(found, TUNED)
            off = max(abs(counts.recall - recall), SAME_RECALL)
            points.append((off, -counts.precision, box, text))
    *_, box, text = min(points)
    return plain_row(scenes, title, box, text)


def strict_row(scenes: Sequence[Scored], recall: float) -> Row:
    """Show so few of ours, the surest ones, that their true tags come nearest to a recall."""
    points = []
    for box in BOX_THRESHOLDS:
        found = [(s.true_names, [row for row in s.ours if row.score > box]) for s in scenes]
        points.append((abs(_total(found, "tag").recall - recall), box, found))
    _, box, found = min(points, key=lambda point: point[:2])
    return _row(f"ours, recall of plain: box {box:.2f}", found)


def table(scenes: Sequence[Scored]) -> list[Row]:
    ours = _row("ours", [(scene.true_names, scene.ours) for scene in scenes])
    recall = ours.counts[TUNED].recall
    script = plain_row(scenes, "plain, the script's", BOX_THRESHOLD, TEXT_THRESHOLD)
    return [
        script,
        tuned_row(scenes, "plain, recall of ours", recall, [TEXT_THRESHOLD]),
        tuned_row(scenes, "plain, both tuned", recall, TEXT_THRESHOLDS),
        strict_row(scenes, script.counts["tag"].recall),
        ours,
    ]


def _row(title: str, found: Sequence[tuple[list[str], list[Result]]]) -> Row:
    return Row(title, {reading: _total(found, reading) for reading in READINGS})


def _total(found: Sequence[tuple[list[str], list[Result]]], reading: Reading) -> Counts:
    return sum((judge(true, results, reading) for true, results in found), Counts())


def show(rows: Sequence[Row]) -> None:
    """Print the table: precision / recall of each reading, then results an image."""
    sorts = ("results", "duplicates", "wrong", "junk", "outside")
    print(" " * 42 + "".join(f"{head:>15}" for head in READINGS), end="")
    print("".join(f"{head:>11}" for head in sorts))
    for row in rows:
        counts = row.counts[TUNED]
        shares = [f"{c.precision:.1%} / {c.recall:.1%}" for c in row.counts.values()]
        each = [getattr(counts, sort) / counts.images for sort in sorts]
        print(f"{row.title:42}" + "".join(f"{share:>15}" for share in shares), end="")
        print("".join(f"{number:>11.3f}" for number in each))
    *plain, _, ours = rows
    for row in plain:
        better = [
            f"{reading} {100 * (ours.counts[reading].precision - counts.precision):+.1f}"
            for reading, counts in row.counts.items()
        ]
        had, has = row.counts[TUNED].junk, ours.counts[TUNED].junk
        print(f"ours against {row.title}: points of precision {', '.join(better)}; ", end="")
        print(f"junk {had} -> {has}, outside {row.counts[TUNED].outside} -> ", end="")
        print(ours.counts[TUNED].outside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--json", type=Path, help="keep every result here, and go on from it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(asked.first_seed, asked.first_seed + asked.scenes)
    scenes = []
    for scene in scored(seeds, asked.json):
        scenes.append(scene)
        if len(scenes) % 50 == 0:
            print(f"{len(scenes)} scenes", file=sys.stderr, flush=True)
    show(table(scenes))


if __name__ == "__main__":
    main()
