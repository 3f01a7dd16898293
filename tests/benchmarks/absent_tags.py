"""What the combined score is worth: python tests/benchmarks/absent_tags.py [SCENES] [FIRST_SEED].

The tiny preset's detector is asked for every tag in every scene, so that most of what it is asked
for is not there, and every box above a low score is kept. The table shows the precision of the best
results at some recalls, results sorted by the detector's score alone, by what the tag's score adds,
and by the label score, which the second look at each object's crop adds to.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))  # the counting lies among the tests

from grounded_ram.evaluation.picture_book import FIRST_SEED
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.rules import Rules
from grounded_ram.scenes.scene import make_scene
from tests.label_quality import NOTHING, compare, is_right

RECALLS = (0.5, 0.6, 0.7, 0.75, 0.78)
LOW = 0.2


def main(scenes: int, first_seed: int) -> None:
    torch.set_num_threads(1)
    rules = Rules(crop_check="flag")
    model = GroundedRAM("tiny", tag_threshold=0.0, box_threshold=LOW, rules=rules, device="cpu")
    scores: dict[str, list[float]] = {"box": [], "tag x box": [], "tag x box x crop": []}
    right: list[bool] = []
    objects = 0
    for seed in range(first_seed, first_seed + scenes):
        scene = make_scene(seed)
        found = model.annotate(scene.image, color="rgb").detections
        objects += len(scene.objects)
        taken: set[int] = set()
        order = np.argsort(-np.asarray(found.confidence), kind="stable")
        for row, result in zip(order, compare(scene, found), strict=True):
            name = scene.objects[result.thing].name if result.thing != NOTHING else ""
            good = result.fits and result.thing not in taken and is_right(result.label, name, "tag")
            taken |= {result.thing} if good else set()
            right.append(good)
            box, tag = (float(found.data[column][row]) for column in ("box_score", "tag_score"))
            scores["box"].append(box)
            scores["tag x box"].append(box * tag)
            scores["tag x box x crop"].append(float(found.data["label_score"][row]))
    print(f"{scenes} scenes, {objects} objects, {len(right)} results, {sum(right)} right")
    print(f"{'precision at recall':20}" + "".join(f"{recall:>8.2f}" for recall in RECALLS))
    for name, column in scores.items():
        shares = precisions(np.array(column), np.array(right), objects)
        print(f"{name:20}" + "".join(f"{share:>8.3f}" for share in shares))


def precisions(scores: NDArray[np.float64], right: NDArray[np.bool_], objects: int) -> list[float]:
    """Return the precision of the best results that reach each recall; NaN where none do."""
    found = np.cumsum(right[np.argsort(-scores, kind="stable")])
    places = np.searchsorted(found / objects, RECALLS)
    return [float(found[at] / (at + 1)) if at < len(found) else float("nan") for at in places]


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    main(*given, *(200, FIRST_SEED)[len(given) :])
