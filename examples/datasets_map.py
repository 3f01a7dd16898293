"""Add tags, boxes and masks to a Hugging Face dataset, and use the model as a pipeline.

    python examples/datasets_map.py                       # a few drawn scenes, offline
    python examples/datasets_map.py photos --preset standard

`datasets` keeps what it computed: run again over the same pictures with the same choices, a dataset
that was loaded from files is not labelled twice. Needs `pip install datasets`.
"""

import argparse

import datasets
from PIL import Image

from grounded_ram import GroundedRAM
from grounded_ram.integrations.huggingface import AddLabels, GroundedRAMPipeline
from grounded_ram.scenes.scene import make_scene

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", help="pictures; scenes are drawn if left out")
parser.add_argument("--preset", default="tiny")
given = parser.parse_args()

if given.folder:
    dataset = datasets.load_dataset("imagefolder", data_dir=given.folder, split="train")
else:
    scenes = [Image.fromarray(make_scene(seed).image) for seed in range(3)]
    dataset = datasets.Dataset.from_dict({"image": scenes}).cast_column("image", datasets.Image())

model = GroundedRAM(given.preset)
columns = AddLabels(model)
labelled = dataset.map(columns, batched=True, batch_size=8, features=columns.features(dataset))

for row in labelled:
    objects = row["objects"]
    found = [
        f"{name} {score:.2f}"
        for name, score in zip(objects["category"], objects["label_score"], strict=True)
    ]
    print("tags:", ", ".join(row["tags"]["name"]), "| objects:", ", ".join(found) or "none")
labelled.to_parquet("labelled.parquet")
print("wrote labelled.parquet")

# The same model, answering as transformers' object-detection pipeline does.
pipe = GroundedRAMPipeline(model, task="object-detection")
for one in pipe(dataset[0]["image"], threshold=0.3):
    print(one)
