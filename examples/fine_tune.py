"""Teach the tagger classes of your own, and use it.

    python examples/fine_tune.py                            # made-up classes, drawn scenes, offline
    python examples/fine_tune.py photos.csv training --preset standard --steps 2000 --rate 1e-4

`photos.csv` has the columns `image` and `tags`; README.md says what else data may be. Typed again,
a training that was cut off goes on. `grounded-ram train photos.csv -o training` does the same from
the command line, and takes several GPUs.
"""

import argparse
import itertools
from functools import partial
from pathlib import Path

from PIL import Image

from grounded_ram import GroundedRAM
from grounded_ram.data_engine.examples import split
from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.presets import resolve_preset
from grounded_ram.scenes.scene import make_scene
from grounded_ram.training.networks import start_from
from grounded_ram.training.tagger import Plan, frequent_tags, train_tagger

CLASSES = {"fairy tale": {"castle"}, "traffic": {"bus", "car"}}
"""Made-up tags for what is drawn: nothing knows them but what is trained here."""


def draw_scenes(folder: Path, count: int = 60) -> Path:
    """Draw scenes that show any of the classes, and write a table of what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image,tags"]
    for scene in map(partial(make_scene, size=160), itertools.count()):
        things = {thing.name for thing in scene.objects}
        tags = [tag for tag, meant in CLASSES.items() if things & meant]
        if tags:
            name = f"{len(lines)}.png"
            Image.fromarray(scene.image).save(folder / name)
            lines.append(f"{name},{'|'.join(tags)}")
        if len(lines) > count:
            break
    table = folder / "pictures.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("data", nargs="?", type=Path, help="scenes are drawn if left out")
parser.add_argument("output", nargs="?", type=Path, default=Path("fine-tune-output"))
parser.add_argument("--preset", default="tiny")
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--rate", type=float, default=1.5e-3, help="1e-4 for photographs")
arguments = parser.parse_args()

data = arguments.data or draw_scenes(arguments.output / "pictures")
learnt, held_out = split(open_examples(data), 0.25)
plan = Plan(
    start=start_from(resolve_preset(arguments.preset).tagger),
    steps=arguments.steps,
    batch=4,
    learning_rate=arguments.rate,
    freeze_encoder=True,  # quick, and enough where the pictures look like those it has learnt from
)
result = train_tagger(learnt, held_out, frequent_tags(learnt), arguments.output / "run", plan)
print(f"mAP {result.mean_ap:.2f} on {len(held_out)} pictures that it has not learnt from")

model = GroundedRAM(preset=arguments.preset, weights={"tagger": result.model})
for example in held_out[:4]:
    seen = model.annotate(example.image).tags.names
    print(f"{Path(example.image).name}: {', '.join(seen)}; right: {', '.join(example.tags)}")
