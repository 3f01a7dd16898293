"""A tag's score over its own tokens: python tests/benchmarks/reductions.py [SCENES] [FIRST_SEED].

Asks the tiny detector for the true names and 20 absent ones, scores its answers in four ways, and
prints AP50 of the boxes. Then once more with absent names that share words with true ones, where a
way that looks at one word alone must fail. Letter by letter are spelled words that the tiny word
list lacks, such as "toy": such names have many tokens.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.detection.answers import cxcywh_to_xyxy
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.detection.prompted import preprocess
from grounded_ram.evaluation.objects import coco_average_precision
from grounded_ram.evaluation.scoring import truth_of
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.prompts import make_prompts
from grounded_ram.scenes.catalog import CATEGORIES
from grounded_ram.scenes.scene import make_scene

Reduce = Callable[[NDArray[np.float32]], NDArray[np.float32]]
REDUCTIONS: Mapping[str, Reduce] = {
    "max": lambda tokens: tokens.max(axis=1),
    "mean": lambda tokens: tokens.mean(axis=1),
    "product": lambda tokens: tokens.prod(axis=1),
    "geometric mean": lambda tokens: tokens.prod(axis=1) ** (1 / tokens.shape[1]),
}
LONG = [name for name in CATEGORIES if " " in name]
ABSENT = 20


def detect(
    detector: GroundingDINODetector, image: Image, names: set[str]
) -> dict[str, sv.Detections]:
    """Return all boxes, each with the name that fits it best, by reduction."""
    asked = np.array(sorted(names))
    prompts = make_prompts(asked.tolist(), detector._tokenizer, max_tokens=detector._max_tokens)
    pixels = preprocess(image, *detector._sides)[None]
    answers = detector._ask(pixels, [(0, prompt) for prompt in prompts])
    found = {}
    for way, reduce in REDUCTIONS.items():
        parts = []
        for answer, prompt in zip(answers, prompts, strict=True):
            tokens = [answer.probabilities[:, start:end] for start, end in prompt.spans]
            scores = np.stack([reduce(of_tag) for of_tag in tokens], axis=1)
            best = asked[list(prompt.rows)][scores.argmax(axis=1)]
            boxes = cxcywh_to_xyxy(answer.boxes, image.shape[:2])
            data = {"class_name": best}
            parts.append(sv.Detections(boxes, confidence=scores.max(axis=1), data=data))
        found[way] = sv.Detections.merge(parts)
    return found


def sharing(names: set[str], others: list[str]) -> set[str]:
    """Make names up of true names' words: "toy car", "car fish", "fish car"; "ice" and "cream"."""
    made = {word for name in names for word in name.split() if word != name}
    for name, other in zip(sorted(names), others, strict=False):
        made |= {f"toy {name}", f"{name} {other}", f"{other} {name}"}
    return made


def only(truth: Annotation, names: list[str]) -> Annotation:
    """Leave the objects of some names."""
    rows = np.flatnonzero(np.isin(truth.detections.data["class_name"], names))
    return replace(truth, detections=truth.detections.select(rows))


def main() -> None:
    count, first = (int(text) for text in (sys.argv[1:] + ["150", "2000000"][len(sys.argv) - 1 :]))
    torch.set_num_threads(1)
    detector = GroundedRAM("tiny").detector
    assert isinstance(detector, GroundingDINODetector)
    truths = []
    found: dict[tuple[str, str], list[sv.Detections]] = defaultdict(list)
    for seed in range(first, first + count):
        scene = make_scene(seed)
        names = {thing.name for thing in scene.objects}
        others = np.random.default_rng(seed).permutation(sorted({*CATEGORIES} - names)).tolist()
        facts = ImageFacts(None, scene.image.shape[:2], "0" * 64)
        truths.append(truth_of(scene, facts))
        asked = {"absent": names | {*others[:ABSENT]}}
        asked["sharing"] = asked["absent"] | sharing(names, others)
        for prompt, wanted in asked.items():
            for way, detections in detect(detector, scene.image, wanted).items():
                found[prompt, way].append(detections)
    long = [only(truth, LONG) for truth in truths]
    print(f"{count} scenes, AP50; {sum(len(t.detections) for t in long)} objects of {LONG}")
    heads = ("all names", "long names", "all, shared words", "long, shared words")
    print(f"{'':16}" + "".join(f"{head:>20}" for head in heads))
    for way in REDUCTIONS:
        cells = [
            coco_average_precision(found[prompt, way], truth, kind="bbox")
            for prompt in ("absent", "sharing")
            for truth in (truths, long)
        ]
        print(f"{way:16}" + "".join(f"{cell:>20.3f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
