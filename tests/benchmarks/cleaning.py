"""What cleaning a run is worth: python tests/benchmarks/cleaning.py [--scenes 600] [--run FOLDER].

Labels drawn scenes with the tiny preset, gives a tenth of the objects another label at random,
removes what looks wrong, and prints for each setting: the precision of the removals (of what went,
how much was wrong), their recall (of what was wrong, how much went), how much of what was right was
lost, and how many labels are right before and after. With --run FOLDER the run is kept there, and a
second call does not label again.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import supervision as sv
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))  # what is right is told among the tests

from grounded_ram.autolabel.run import label_dataset
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.data_engine.cleaning.embedding import TaggerEmbedder
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.verdicts import Cleaning, judge
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.catalog import CATEGORIES, further_names
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.labelling import Words
from tests.label_quality import compare

FIRST_SEED = 2_000_000
CORRUPTED = 0.1


@dataclass(frozen=True)
class Way:
    """One way to see regions: how wide crops are, what is painted over."""

    margin: float
    only_mask: bool

    def __str__(self) -> str:
        return f"margin {self.margin:g}{', mask alone' if self.only_mask else ''}"


WAYS = (Way(0.5, False), Way(0.15, False), Way(0.15, True))


class Objects:
    """All objects of a run whose truth is known, with some labels corrupted.

    Args:
        run: of scenes that are named by their seeds.
        seed: of the corruption.
    """

    def __init__(self, run: Run, seed: int = 0) -> None:
        self.found: list[tuple[int, sv.Detections]] = []
        right: list[bool] = []
        rng = np.random.default_rng(seed)
        for annotation in run.dataset():
            scene_seed = int(Path(str(annotation.image.file_name)).stem)
            scene = make_scene(scene_seed)
            found = annotation.detections
            order = np.argsort(-np.asarray(found.confidence), kind="stable")
            found = found.select(order.tolist())  # as ``compare`` sorts its results
            results = compare(scene, found)
            labels = []
            for result in results:
                thing = scene.objects[result.thing].name if result.thing >= 0 else ""
                names = {thing, *further_names(thing)} if thing else set()
                label = result.label
                if rng.random() < CORRUPTED:
                    label = str(rng.choice([c for c in CATEGORIES if c not in {*names, label}]))
                labels.append(label)
                right.append(label in names)
            data = {**found.data, "class_name": np.array(labels, str)}
            self.found.append((scene_seed, replace(found, data=data)))
        self.right: NDArray[np.bool_] = np.array(right, bool)

    def see(self, model: GroundedRAM, way: Way, regions: Regions) -> None:
        """Look at every object."""
        tagger: Any = model.tagger
        look = partial(tagger.tag, threshold=0.0)
        options = {"margin": way.margin, "only_mask": way.only_mask}
        viewer = Viewer(TaggerEmbedder(tagger), look, Words(), **options)
        for seed, found in self.found:
            if len(found):
                image: Image = make_scene(seed).image
                known = _known(str(seed), found, viewer.alone(image, found))
                regions.add(known, viewer.embed(image, found))


def _known(name: str, found: sv.Detections, alone: NDArray[np.float32]) -> list[Region]:
    labels = [str(label) for label in found.data["class_name"]]
    pairs = zip(labels, found.data["tag_score"].tolist(), alone.tolist(), strict=True)
    return [Region(name, label, (0, 0, 1, 1), whole, score) for label, whole, score in pairs]


def rows(regions: Regions, right: NDArray[np.bool_]) -> Iterator[tuple[str, ...]]:
    """Clean in each way, and say what came of it."""
    outliers_only = {"contradictions": False}
    tries: list[tuple[str, dict[str, Any]]] = [
        (f"share {share:g}", {"share": share, **outliers_only}) for share in (0.05, 0.1, 0.15, 0.2)
    ]
    tries += [(f"share 0.1, clusters {n}", {"clusters": n, **outliers_only}) for n in (1, 2, 4, 16)]
    tries += [
        (f"share 0.2, distance > {d:g}", {"share": 0.2, "least_distance": d, **outliers_only})
        for d in (1.1, 1.15, 1.2, 1.25, 1.3)
    ]
    tries += [
        (f"alone < {limit:g}", {"share": 0.0, "least_alone": limit})
        for limit in (0.35, 0.4, 0.45, 0.5)
    ]
    tries += [
        (f"share 0.1, alone < {limit:g}", {"least_alone": limit}) for limit in (0.4, 0.45, 0.5)
    ]
    tries += [
        (f"share 0.2, distance > {d:g}, alone < 0.5", {"share": 0.2, "least_distance": d})
        for d in (1.15, 1.2, 1.3)
    ]
    for title, settings in tries:
        gone = np.array([one.reason is not None for one in judge(regions, Cleaning(**settings))])
        wrong = ~right
        yield (
            title,
            f"{gone.mean():.1%}",
            f"{(gone & wrong).sum() / max(gone.sum(), 1):.1%}",
            f"{(gone & wrong).sum() / wrong.sum():.1%}",
            f"{(gone & right).sum() / right.sum():.1%}",
            f"{right.mean():.1%}",
            f"{right[~gone].mean():.1%}",
        )


def label(folder: Path, scenes: int) -> Run:
    """Label scenes that are not labelled yet."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for seed in range(FIRST_SEED, FIRST_SEED + scenes):
        path = pictures / f"{seed}.png"
        if not path.exists():
            PIL.Image.fromarray(make_scene(seed).image).save(path)
    return label_dataset(GroundedRAM("tiny", device="cpu"), [pictures], folder / "run", threads=1)


def show(heads: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [heads, *table]) for i in range(len(heads))]
    for row in [heads, *table]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--run", type=Path, help="keep pictures and run here, and go on from it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = GroundedRAM("tiny", device="cpu")
    with tempfile.TemporaryDirectory() as temporary:
        objects = Objects(label(asked.run or Path(temporary), asked.scenes))
        for way in WAYS:
            with tempfile.TemporaryFile() as file:
                regions = Regions(file)
                objects.see(model, way, regions)
                labels = len(regions.by_label())
                print(f"\n{way}; {len(regions)} objects of {labels} labels")
                heads = ("", "gone", "precision", "recall", "right lost", "right before", "after")
                show(heads, list(rows(regions, objects.right)))


if __name__ == "__main__":
    main()
