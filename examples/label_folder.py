"""Label all pictures of a folder: one COCO file for training, and overlays to look at.

    python examples/label_folder.py                             # a few drawn scenes, offline
    python examples/label_folder.py photos labels --preset standard

Pictures are read, labelled and written one by one, so that a folder of any size fits in memory.
`grounded-ram annotate photos -o labels` does the same from the command line.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from grounded_ram import Annotation, GroundedRAM, InputError
from grounded_ram.export.coco import write_coco
from grounded_ram.scenes.scene import make_scene

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def label(model: GroundedRAM, folder: Path, overlays: Path) -> Iterator[Annotation]:
    """Annotate picture by picture; one that cannot be read is named and left out."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PICTURES:
            continue
        try:
            annotation = model.annotate(path)
        except InputError as error:
            print("left out:", error)
            continue
        target = overlays / path.relative_to(folder).with_suffix(".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        annotation.overlay().save(target)
        print(annotation)
        yield annotation


def draw_scenes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(3):
        Image.fromarray(make_scene(seed).image).save(folder / f"scene-{seed}.png")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", type=Path, help="pictures; scenes are drawn if left out")
parser.add_argument("output", nargs="?", type=Path, default=Path("label-folder-output"))
parser.add_argument("--preset", default="tiny")
arguments = parser.parse_args()

folder = arguments.folder
if folder is None:
    folder = arguments.output / "pictures"
    draw_scenes(folder)

annotations = label(GroundedRAM(arguments.preset), folder, arguments.output / "overlays")
count = write_coco(annotations, arguments.output / "annotations.coco.json", root=folder)
print(f"{count} pictures in {arguments.output / 'annotations.coco.json'}")
