import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from grounded_ram.benchmark.networks import load_part
from grounded_ram.checkpoints.find import CHECKPOINTS
from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.downloads import ASSETS, WeightFile
from grounded_ram.errors import UnknownNameError, WeightsError
from grounded_ram.registry import Stage
from grounded_ram.segmentation.sam import SAMConfig
from tests.benchmark.quick import CPU, TINY, absent, forbid_downloads, lose_weights


def network(part: object) -> torch.nn.Module:
    stage = part.stage  # type: ignore[attr-defined]
    found: torch.nn.Module = stage.model if hasattr(stage, "model") else stage.network
    return found


@pytest.mark.parametrize("stage", TINY)
def test_weights_that_are_here_are_used(stage: Stage, tmp_path: Path) -> None:
    part = load_part(stage, TINY[stage], tmp_path, **CPU)
    assert not part.is_random
    assert (part.vocabulary is not None) == (stage == "detector")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", TINY)
def test_random_weights_stand_in_for_absent_ones(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_weights(monkeypatch)
    forbid_downloads(monkeypatch)
    name = TINY[stage].replace("tiny", "absent")
    before = torch.get_rng_state()
    random, again = (load_part(stage, name, tmp_path, **CPU) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert random.is_random
    real = load_part(stage, TINY[stage], tmp_path, **CPU)
    assert type(random.stage) is type(real.stage)
    assert random.config == real.config
    states = [network(part).state_dict() for part in (random, again, real)]
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    assert shapes[0] == shapes[2]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_the_configs_of_the_package_are_read(tmp_path: Path) -> None:
    detector = load_part("detector", "grounding-dino:tiny", tmp_path, **CPU)
    assert isinstance(detector.config, DetectorConfig)
    assert detector.config.short_side == 256
    segmenter = load_part("segmenter", "sam:tiny", tmp_path, **CPU)
    assert isinstance(segmenter.config, SAMConfig)
    assert segmenter.config.image_size == 384


def test_a_made_up_vocabulary_has_a_token_for_each_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = absent("grounding-dino:tiny")
    config = json.loads((ASSETS / "tiny" / "grounding_dino.json").read_text("utf-8"))
    config["model"]["bert"]["vocab_size"] = 30_000
    own = tmp_path / "config.json"
    own.write_text(json.dumps(config), encoding="utf-8")
    files = {**row.files, "config": WeightFile(name="c", source=f"file:{own}")}
    monkeypatch.setitem(CHECKPOINTS, row.name, replace(row, files=files))
    part = load_part("detector", row.name, tmp_path, **CPU)
    assert part.vocabulary is not None
    tokenizer = PromptTokenizer(part.vocabulary)
    assert [len(tokenizer.encode(text)) for text in ("car", "red fox", "qzk")] == [1, 2, 3]
    assert tokenizer.ids["[UNK]"] not in tokenizer.encode("qzk")


def test_a_made_up_vocabulary_is_no_larger_than_the_text_encoder_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_weights(monkeypatch)
    part = load_part("detector", "grounding-dino:absent", tmp_path, **CPU)
    assert part.vocabulary is not None
    assert len(PromptTokenizer(part.vocabulary)) == 164


def test_a_vocabulary_that_is_here_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row, tiny = absent("grounding-dino:tiny"), CHECKPOINTS["grounding-dino:tiny"]
    files = {**row.files, "vocab": tiny.files["vocab"]}
    monkeypatch.setitem(CHECKPOINTS, row.name, replace(row, files=files))
    part = load_part("detector", row.name, tmp_path, **CPU)
    assert part.is_random
    assert part.vocabulary == ASSETS / "tiny" / "vocab.txt"


def test_what_a_repository_may_lack_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = CHECKPOINTS["sam:tiny"]
    extra = WeightFile(name="extra", source="hf://a/b@main/extra.json", optional=True)
    monkeypatch.setitem(CHECKPOINTS, row.name, replace(row, files={**row.files, "extra": extra}))
    forbid_downloads(monkeypatch)
    assert not load_part("segmenter", row.name, tmp_path, **CPU).is_random


def test_networks_of_unknown_sizes_need_their_files(tmp_path: Path) -> None:
    name = "transformers:IDEA-Research/grounding-dino-tiny"
    with pytest.raises(WeightsError, match=f"type `grounded-ram download {name}`") as raised:
        load_part("detector", name, tmp_path, **CPU)
    assert "model.safetensors" in str(raised.value)


def test_unknown_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="sam:vit-x"):
        load_part("segmenter", "sam:vit-x", tmp_path, **CPU)


@pytest.mark.parametrize("name", ["tiny", "absent"])
@pytest.mark.parametrize("stage", TINY)
def test_batch_sizes_and_compilation_are_passed_on(
    stage: Stage, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_weights(monkeypatch)
    backend = TINY[stage].replace("tiny", name)

    told: list[object] = []
    alone = load_part(stage, backend, tmp_path, **CPU).stage
    monkeypatch.setattr(type(alone), "compile", lambda self: told.append(self))
    three = load_part(stage, backend, tmp_path, batch_size=3, compile=True, **CPU).stage
    assert (alone.batch_size, three.batch_size) == (1, 3)
    assert told == [three]
