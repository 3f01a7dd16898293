"""Label a dataset of any size, to be stopped and gone on with at any time; then write formats.

    python examples/label_dataset.py                        # a few drawn scenes, offline
    python examples/label_dataset.py photos run --preset standard --format coco,yolo,voc

Typed again, it labels what is not labelled yet. `grounded-ram label photos -o run` does the same
from the command line, with several processes, GPUs or a Ray cluster if need be.
"""

import argparse
from pathlib import Path

from PIL import Image

from grounded_ram import GroundedRAM
from grounded_ram.autolabel.engines import Here
from grounded_ram.autolabel.exports import write_format
from grounded_ram.autolabel.run import label_dataset
from grounded_ram.registry import find_exporter
from grounded_ram.scenes.scene import make_scene


def draw_scenes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(3):
        Image.fromarray(make_scene(seed).image).save(folder / f"scene-{seed}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", help="pictures; scenes are drawn if left out")
    parser.add_argument("run", nargs="?", type=Path, default=Path("label-dataset-output/run"))
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--format", default="coco,yolo")
    given = parser.parse_args()

    source = given.source
    if source is None:
        source = str(given.run.parent / "pictures")
        draw_scenes(Path(source))

    # Here(1): a process of its own decodes the pictures while this one labels.
    run = label_dataset(GroundedRAM(given.preset), [source], given.run, engine=Here(1))
    dataset = run.dataset()
    print(f"{len(dataset)} pictures, objects: {dict(dataset.objects)}")
    for name, reason in run.failures():
        print("failed:", name, reason)
    for name in given.format.split(","):
        print(f"{name}:", write_format(dataset, find_exporter(name), given.run / name).folder)


if __name__ == "__main__":  # the process that decodes reads this file again
    main()
