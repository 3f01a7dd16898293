"""See what a setting does: one picture under several box thresholds, side by side in one file.

    python examples/compare_overlays.py                         # a drawn scene, offline
    python examples/compare_overlays.py street.jpg --preset standard --thresholds 0.25 0.35 0.5

A low threshold finds more and errs more. To compare other settings, change the line that makes the
model: every field of a preset, and every backend, can be given there.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from grounded_ram import Annotation, GroundedRAM
from grounded_ram.scenes.scene import make_scene

HEADER = 30

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", nargs="?", help="a file or URL; a scene is drawn if left out")
parser.add_argument("--preset", default="tiny")
parser.add_argument("--thresholds", type=float, nargs="+", default=[0.1, 0.5])
parser.add_argument("--height", type=int, default=512, help="of each picture, in pixels")
arguments = parser.parse_args()


def annotate(threshold: float) -> Annotation:
    model = GroundedRAM(arguments.preset, box_threshold=threshold)
    picture = arguments.picture or make_scene(5).image
    return model.annotate(picture, color="rgb")


def panel(threshold: float) -> Image.Image:
    """Draw one result under a line that says how it was made."""
    annotation = annotate(threshold)
    overlay = annotation.overlay(scale=arguments.height / annotation.image.size_hw[0])
    picture = Image.new("RGB", (overlay.width, overlay.height + HEADER), "white")
    picture.paste(overlay, (0, HEADER))
    title = f"box threshold {threshold}: {len(annotation.detections)} objects"
    ImageDraw.Draw(picture).text((6, 6), title, fill="black", font=ImageFont.load_default(16))
    print(title)
    return picture


panels = [panel(threshold) for threshold in arguments.thresholds]
sheet = Image.new("RGB", (sum(p.width for p in panels), panels[0].height), "white")
left = 0
for picture in panels:
    sheet.paste(picture, (left, 0))
    left += picture.width
path = Path("compare-overlays.png")
sheet.save(path)
print("wrote", path)
