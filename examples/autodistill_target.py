"""Label a folder as a base model of autodistill: the dataset that a small model learns from.

    python examples/autodistill_target.py                       # a few drawn scenes, offline
    python examples/autodistill_target.py photos car "traffic light=light" --preset standard

Each word is a prompt, or PROMPT=CLASS; without words the classes are what RAM sees. Then, say:

    YOLO("yolo11n-seg.pt").train(data="photos_labeled/data.yaml")  # of ultralytics

Needs autodistill. It brings an OpenCV that overwrites ours, so use an environment of its own.
"""

import argparse
from pathlib import Path

from autodistill.detection import CaptionOntology
from PIL import Image

from grounded_ram.integrations.autodistill import AutodistillModel
from grounded_ram.scenes.scene import make_scene


def draw_scenes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(3):
        Image.fromarray(make_scene(seed).image).save(folder / f"scene-{seed}.png")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", type=Path, help="pictures; scenes are drawn if left out")
parser.add_argument("words", nargs="*", help="PROMPT or PROMPT=CLASS")
parser.add_argument("--preset", default="tiny")
given = parser.parse_args()

folder = given.folder
if folder is None:
    folder = Path("autodistill-output") / "pictures"
    draw_scenes(folder)

pairs = [(word.partition("=")[0], word.partition("=")[2] or word) for word in given.words]
ontology = CaptionOntology(dict(pairs)) if pairs else None
base = AutodistillModel(ontology, model=given.preset)
dataset = base.label(str(folder), extension="")  # all pictures, whatever their endings
print(f"{len(dataset)} pictures, classes: {', '.join(dataset.classes)}")
print(f"wrote {folder}_labeled/data.yaml")
