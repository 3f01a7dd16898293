"""Tag, box and mask one picture, look at what came out, and save it.

    python examples/quickstart.py                       # a drawn scene, offline, in seconds
    python examples/quickstart.py street.jpg standard   # a photograph, with the real models

The real models must be here first: `grounded-ram download standard` (8.9 GB).
"""

import sys

from PIL import Image

from grounded_ram import GroundedRAM
from grounded_ram.scenes.scene import make_scene

preset = sys.argv[2] if len(sys.argv) > 2 else "tiny"
if len(sys.argv) > 1:
    picture = sys.argv[1]
else:
    picture = "scene.png"
    Image.fromarray(make_scene(5).image).save(picture)

# Models are loaded once; annotate() may then be called as often as you like.
model = GroundedRAM(preset)

# A path, a URL, bytes, a PIL image, a tensor, or an array (BGR, as cv2.imread gives it).
annotation = model.annotate(picture)
print(annotation)

# What was seen in the whole picture: things, places, colours, actions.
for name, score, kind in zip(
    annotation.tags.names, annotation.tags.scores, annotation.tags.kinds, strict=True
):
    print(f"  tag     {name:12} {score:.2f}  ({kind})")

# Where: a supervision.Detections, one row an object; its masks are packed as sv.CompactMask.
found = annotation.detections
for name, box, score, area in zip(
    found.data["class_name"], found.xyxy, found.confidence, annotation.masks.area, strict=True
):
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    print(f"  object  {name:12} {score:.2f}  box {x1} {y1} {x2} {y2}  {area} pixels")

# Seen, but found nowhere: worth a look by a person.
print("  not found:", ", ".join(annotation.not_found) or "none")

# NAME.tags.json, NAME.coco.json and NAME.overlay.jpg.
for path in annotation.save("quickstart-output"):
    print("wrote", path)
