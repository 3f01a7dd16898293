"""Look for things that you name: no tagger, any words, several at once.

    python examples/open_vocabulary.py                          # a drawn scene, offline
    python examples/open_vocabulary.py street.jpg "traffic light" "wet road" --preset standard

A label is always exactly one of your words; a word that is found nowhere is named too. The tiny
preset knows picture-book words only; the real models take any words.
"""

import argparse
from pathlib import Path

from grounded_ram import GroundedRAM
from grounded_ram.scenes.scene import make_scene

SCENE = make_scene(5)
WORDS = [*dict.fromkeys(thing.name for thing in SCENE.objects), "train", "guitar"]

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", nargs="?", help="a file or URL; a scene is drawn if left out")
parser.add_argument("words", nargs="*", default=WORDS)
parser.add_argument("--preset", default="tiny")
arguments = parser.parse_args()

print("looking for:", ", ".join(arguments.words))
picture = arguments.picture or SCENE.image
model = GroundedRAM(arguments.preset)
annotation = model.annotate(picture, tags=arguments.words, color="rgb")

for name, score in zip(
    annotation.detections.data["class_name"], annotation.detections.confidence, strict=True
):
    print(f"found {name}, score {score:.2f}")
print("found nowhere:", ", ".join(annotation.not_found) or "none")

path = Path("open-vocabulary.png")
annotation.overlay(scale=2).save(path)
print("wrote", path)
