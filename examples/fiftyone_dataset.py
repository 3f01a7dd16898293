"""Label a FiftyOne dataset, look at it there, and bring the corrected labels back as COCO.

    python examples/fiftyone_dataset.py                       # a few drawn scenes, offline
    python examples/fiftyone_dataset.py photos --preset standard

Needs `pip install fiftyone`, in an environment of its own: it brings an OpenCV that overwrites
ours. Then `fo.launch_app(dataset)` shows masks, tags and scores, to filter and to correct.
"""

import argparse
from pathlib import Path

import fiftyone as fo
from PIL import Image

from grounded_ram import GroundedRAM
from grounded_ram.export.coco import write_coco
from grounded_ram.integrations.fiftyone import apply, from_fiftyone
from grounded_ram.scenes.scene import make_scene


def draw_scenes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(3):
        Image.fromarray(make_scene(seed).image).save(folder / f"scene-{seed}.png")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", type=Path, help="pictures; scenes are drawn if left out")
parser.add_argument("--preset", default="tiny")
given = parser.parse_args()

output = Path("fiftyone-output")
folder = given.folder
if folder is None:
    folder = output / "pictures"
    draw_scenes(folder)

dataset = fo.Dataset()
dataset.add_samples([fo.Sample(filepath=str(path)) for path in sorted(folder.iterdir())])
apply(GroundedRAM(given.preset), dataset, label_field="ground_ram", skip_failures=False)
for sample in dataset:
    objects = [one.label for one in sample["ground_ram"].detections]
    tags = [one.label for one in sample["ground_ram_tags"].classifications]
    print(Path(sample.filepath).name, "objects:", *objects, "| tags:", *tags)

# fo.launch_app(dataset).wait()

labels = from_fiftyone(dataset, "ground_ram", tags_field="ground_ram_tags")
count = write_coco(labels, output / "annotations.coco.json")
print(f"{count} pictures in {output / 'annotations.coco.json'}")
