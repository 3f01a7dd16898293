from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from grounded_ram.downloads import ASSETS
from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.tagging.ram_plus import RAMPlusTagger, load_ram_plus
from grounded_ram.tagging.table import TagTable
from grounded_ram.weights import CHECKPOINTS, Checkpoint, WeightFile
from tests.golden_sizes import tagging_sizes

Pixels = NDArray[np.uint8]
OWN = {
    "corgi": ["a small dog with short legs", "a photo of a corgi.", "big ears"],
    "unicorn": ["a white horse with one horn"],
    "alpaca": ["a woolly neck"],
}


@pytest.fixture
def folder(golden: Path) -> Path:
    return golden / "ram_plus_tagging"


@pytest.fixture
def case(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


@pytest.fixture
def expected(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "outputs.json").read_text(encoding="utf-8")))


@pytest.fixture
def row(folder: Path, case: dict[str, Any], tmp_path: Path) -> Checkpoint:
    """The golden case as a checkpoint."""
    model = tagging_sizes(case) | {"descriptions": case["descriptions_per_class"]}
    rows = zip(case["tag_list"], case["class_threshold"], strict=True)
    tags = [{"name": name, "kind": "object", "threshold": limit} for name, limit in rows]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model": model, "tags": tags}), encoding="utf-8")
    files = {"weights": folder / "state_dict.safetensors", "config": config}
    return Checkpoint(
        name="ram-plus:golden",
        summary="the golden case",
        licence="Apache-2.0",
        files={r: WeightFile(name=p.name, source=f"file:{p}") for r, p in files.items()},
    )


@pytest.fixture
def tagger(row: Checkpoint) -> RAMPlusTagger:
    return load_ram_plus(row, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def inputs(folder: Path) -> dict[str, torch.Tensor]:
    stored = np.load(folder / "inputs.npz")
    return {name: torch.from_numpy(stored[name]).float() for name in stored.files}


def joined(tagger: RAMPlusTagger, images: torch.Tensor) -> list[str]:
    """The tags of prepared images as the official code writes them: in the order of the list."""
    with torch.inference_mode():
        scores = tagger.logits(images).sigmoid().numpy()
    seen = [set(tagger.table.above(row, None).names) for row in scores]
    return [" | ".join(name for name in tagger.table.names if name in names) for names in seen]


def test_tags_are_the_official_ones(
    tagger: RAMPlusTagger, inputs: dict[str, torch.Tensor], expected: dict[str, Any]
) -> None:
    assert joined(tagger, inputs["image"]) == expected["tags"]


def test_tags_of_other_descriptions_are_the_official_ones(
    tagger: RAMPlusTagger,
    inputs: dict[str, torch.Tensor],
    case: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    names = case["openset_tag_list"]
    table = TagTable.of(names, [expected["openset_threshold"]] * len(names))
    blocks = [inputs["openset_label_embed"].view(len(names), 51, 512)]
    openset = RAMPlusTagger(tagger.network, table, blocks=blocks)
    assert joined(openset, inputs["image"]) == expected["openset_tags"]


def test_a_batch_of_unlike_sizes_equals_single_images_bit_for_bit(
    tagger: RAMPlusTagger, pictures: list[Pixels]
) -> None:
    together = tagger.scores(pictures)
    for picture, scores in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(tagger.scores([picture])[0], scores)
    assert np.abs(together[0] - together[2]).max() > 0.01


def test_larger_batches_give_the_same_scores(tagger: RAMPlusTagger, pictures: list[Pixels]) -> None:
    batched = RAMPlusTagger(tagger.network, tagger.table, batch_size=3)
    np.testing.assert_allclose(batched.scores(pictures), tagger.scores(pictures), atol=1e-5)


def test_bfloat16_gives_nearly_the_same_scores(
    tagger: RAMPlusTagger, pictures: list[Pixels]
) -> None:
    shorter = RAMPlusTagger(tagger.network, tagger.table, dtype=torch.bfloat16)
    found, exact = shorter.scores(pictures), tagger.scores(pictures)
    assert 0 < np.abs(found - exact).max() < 0.05


def test_the_fixed_descriptions_are_not_copied(tagger: RAMPlusTagger, labels: CLIPLabels) -> None:
    own = tagger.network.label_embed.data_ptr()
    assert tagger.blocks[0].data_ptr() == own
    longer = tagger.extended(OWN, labels=labels)
    assert longer.blocks[0].data_ptr() == own
    assert longer.without(["corgi"]).blocks[0].data_ptr() == own


def test_deleted_tags_are_gone_and_the_others_stay(
    tagger: RAMPlusTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    longer = tagger.extended(OWN, labels=labels)
    gone = ["dog", "snowflake", "unicorn"]
    fewer = longer.without(gone)
    kept = [i for i, name in enumerate(longer.table.names) if name not in gone]
    assert fewer.table.names == tuple(longer.table.names[i] for i in kept)
    scores = longer.scores(pictures)[:, kept]
    np.testing.assert_allclose(fewer.scores(pictures), scores, rtol=0, atol=1e-6)
    with pytest.raises(UnknownNameError, match="no such tag: dogg"):
        tagger.without(["dogg"])


def test_a_tagger_without_tags_finds_nothing(tagger: RAMPlusTagger, pictures: list[Pixels]) -> None:
    nothing = tagger.without(tagger.table.names)
    assert [len(tags) for tags in nothing.tag(pictures)] == [0, 0, 0]


def test_described_tags_are_weighed_by_the_image(
    tagger: RAMPlusTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    longer = tagger.extended(OWN, threshold=0.25, labels=labels)
    assert longer.table.names[14:] == ("alpaca", "unicorn", "corgi")  # by their descriptions
    assert longer.table.thresholds[14:].tolist() == [0.25] * 3
    found = longer.scores(pictures)
    np.testing.assert_allclose(found[:, :14], tagger.scores(pictures), rtol=0, atol=1e-6)
    for column, word in enumerate(longer.table.names[14:], start=14):
        block = torch.stack([labels.text(text) for text in OWN[word]])[None]
        alone = RAMPlusTagger(tagger.network, TagTable.of([word], [0.5]), blocks=[block])
        np.testing.assert_allclose(found[:, [column]], alone.scores(pictures), rtol=0, atol=1e-6)


def test_a_mere_word_is_its_prompts(
    tagger: RAMPlusTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    longer = tagger.extended(["corgi"], labels=labels)
    block = labels.word("corgi")[None, None]
    alone = RAMPlusTagger(tagger.network, TagTable.of(["corgi"], [0.5]), blocks=[block])
    found = longer.scores(pictures)[:, 14:]
    np.testing.assert_allclose(found, alone.scores(pictures), rtol=0, atol=1e-6)
    assert longer.table.thresholds[14] == 0.5


def test_the_order_of_words_and_descriptions_has_no_effect(
    tagger: RAMPlusTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    turned = {word: texts[::-1] for word, texts in reversed(OWN.items())}
    first, second = (tagger.extended(own, labels=labels) for own in (OWN, turned))
    assert first.table.names == second.table.names
    np.testing.assert_array_equal(first.scores(pictures), second.scores(pictures))


def test_a_word_that_is_a_tag_keeps_its_own_descriptions(
    tagger: RAMPlusTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    same = tagger.extended({"Dog": ["a loyal friend"]}, labels=labels)
    assert same.table.names == tagger.table.names
    np.testing.assert_array_equal(same.scores(pictures), tagger.scores(pictures))


@pytest.mark.parametrize("texts", ["a small dog", [], ()])
def test_descriptions_must_be_a_list(tagger: RAMPlusTagger, labels: CLIPLabels, texts: Any) -> None:
    with pytest.raises(InputError, match="expected a list of descriptions of 'corgi', got"):
        tagger.extended({"corgi": texts}, labels=labels)


def test_one_word_instead_of_a_list_is_refused(tagger: RAMPlusTagger, labels: CLIPLabels) -> None:
    with pytest.raises(InputError, match="expected a list of words, got 'corgi'"):
        tagger.extended("corgi", labels=labels)


def test_descriptions_of_each_tag_are_demanded(tagger: RAMPlusTagger) -> None:
    blocks = [torch.zeros(3, 2, 512), torch.zeros(10, 1, 512)]
    with pytest.raises(InputError, match="of each of 14 tags, got 13 sets"):
        RAMPlusTagger(tagger.network, tagger.table, blocks=blocks)


def test_a_changed_tagger_runs_as_the_first(tagger: RAMPlusTagger, labels: CLIPLabels) -> None:
    tagger = RAMPlusTagger(tagger.network, tagger.table, dtype=torch.bfloat16, batch_size=3)
    for other in (tagger.without(["dog"]), tagger.extended(["corgi"], labels=labels)):
        assert (other.dtype, other.batch_size) == (torch.bfloat16, 3)
        assert other.network is tagger.network


def test_weights_of_another_model_are_an_error(row: Checkpoint, golden: Path) -> None:
    path = golden / "ram_tagging" / "state_dict.safetensors"
    files = {**row.files, "weights": WeightFile(name="ram", source=f"file:{path}")}
    other = Checkpoint(name="ram-plus:ram", summary="", licence="", files=files)
    expected = "^ram-plus:ram: these are not the weights of this RAMPlus: .*reweight_scale"
    with pytest.raises(WeightsError, match=expected):
        load_ram_plus(other, device=torch.device("cpu"), dtype=torch.float32)


def test_the_official_checkpoint_has_the_tags_and_thresholds_of_ram() -> None:
    files, rams = CHECKPOINTS["ram-plus:swin-l"].files, CHECKPOINTS["ram:swin-l"].files
    assert (files["tags"], files["thresholds"]) == (rams["tags"], rams["thresholds"])
    assert files["config"].source.endswith("ram_plus_swin_l.json")
    assert (ASSETS / "configs" / "ram_plus_swin_l.json").is_file()
