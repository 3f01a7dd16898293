"""The command that remakes the tiny preset, on a few steps: every part runs and the files load."""

from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram.annotation import Tags
from grounded_ram.detection.grounding_dino import load_grounding_dino
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.ram.model import RAM
from grounded_ram.scenes.catalog import FURTHER, PLAIN, VOCABULARY
from grounded_ram.scenes.scene import make_scene
from grounded_ram.segmentation.sam import load_sam
from grounded_ram.tagging.ram import load_ram
from grounded_ram.training import tiny_ram
from grounded_ram.training.loop import Schedule
from grounded_ram.training.pool import Pool
from grounded_ram.training.tiny import Plan, train_tiny
from grounded_ram.weights import find_checkpoint, load_state_dict, relocate

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


PLAN = Plan(scenes=500, scene_size=96, threshold_scenes=6, stretch=0.0003, workers=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    return train_tiny(folder, plan=PLAN, seed=3, device=torch.device("cpu"))


def test_training_goes_on_from_earlier_files(trained: Path) -> None:
    """The label codes never learn, so they show where a tagger came from, whatever the seed."""
    cpu = torch.device("cpu")
    again = train_tiny(trained.parent / "again", plan=PLAN, seed=4, device=cpu, start=trained)
    first, second = (load_state_dict(f / "ram.safetensors") for f in (trained, again))
    assert torch.equal(first["label_embed"], second["label_embed"])
    assert not torch.equal(first["fc.weight"], second["fc.weight"])


def test_the_files_load_and_run(trained: Path) -> None:
    image = make_scene(1).image
    tagger = load_ram(relocate(find_checkpoint("ram:tiny"), trained), **CPU)
    detector = load_grounding_dino(relocate(find_checkpoint("grounding-dino:tiny"), trained), **CPU)
    segmenter = load_sam(relocate(find_checkpoint("sam:tiny"), trained), **CPU)
    (tags,) = tagger.tag([image], threshold=0.0)
    assert set(tags.names) == set(VOCABULARY)
    (found,) = detector.detect([image], [Tags.of(["car", "tree"])], threshold=0.0)
    assert len(found)
    (cut,) = segmenter.segment([image], [found])
    assert len(cut) == len(found)


def test_a_further_word_starts_between_its_things_in_the_detector(trained: Path) -> None:
    weights = load_state_dict(trained / "grounding_dino.safetensors")
    table = weights["bert.embeddings.word_embeddings.weight"].float()
    tokenizer = PromptTokenizer(trained / "vocab.txt")
    for word, things in FURTHER.items():
        (own,) = tokenizer.encode(word)
        between = table[[token for name in things for token in tokenizer.encode(name)]].mean(0)
        torch.testing.assert_close(table[own], between, rtol=0, atol=0.02)  # one step later


def test_a_further_word_is_as_sure_as_the_surest_of_its_things(trained: Path) -> None:
    tagger = load_ram(relocate(find_checkpoint("ram:tiny"), trained), **CPU)
    (tags,) = tagger.tag([make_scene(2).image], threshold=0.0)
    scores = dict(zip(tags.names, tags.scores.tolist(), strict=True))
    assert len({round(score, 6) for score in scores.values()}) > 20
    for word, things in FURTHER.items():
        assert scores[word] == pytest.approx(max(scores[name] for name in things), rel=1e-5)


def test_the_tagger_learns(pool: Pool, tmp_path: Path) -> None:
    """A few steps on the same few scenes bring the loss down: gradients reach what they should."""
    few = Pool(
        *(column[:16] for column in (pool.images, pool.owners, pool.boxes, pool.looks, pool.tags))
    )
    schedule = Schedule(steps=25, learning_rate=1e-3, batch=16, warmup=5)
    cpu = torch.device("cpu")
    start = RAM(tiny_ram.CONFIG).eval()
    model = tiny_ram.new_ram(0, start.visual_encoder.state_dict())
    tiny_ram.train_ram(model, few, tmp_path / "s.pt", seed=0, device=cpu, schedule=schedule)

    def separation(network: RAM) -> float:
        mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
        images = torch.from_numpy(np.array(few.images)).permute(0, 3, 1, 2) / 255 - mean
        sized = torch.nn.functional.interpolate(
            images / 0.225, tiny_ram.CONFIG.image_size, mode="bilinear"
        )
        with torch.inference_mode():
            logits = network(sized)
        logits = logits[:, : len(PLAIN)]
        truth = torch.from_numpy(np.array(few.tags))
        return float(logits[truth].mean() - logits[~truth].mean())

    assert separation(model) > separation(start) + 0.2
