from __future__ import annotations

import dataclasses
import json
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file

from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.tagging.ram import (
    RAMTagger,
    chinese_names,
    load_ram,
    prepare,
    read_ram,
)
from grounded_ram.tagging.table import TagTable
from grounded_ram.vocabulary.table import official_vocabulary
from grounded_ram.weights import Checkpoint, WeightFile
from tests.golden_sizes import tagging_sizes
from tests.small_clip import save_small_clip

Pixels = NDArray[np.uint8]


@pytest.fixture
def case(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "ram_tagging" / "config.json").read_text(encoding="utf-8")))


@pytest.fixture
def expected(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "ram_tagging" / "outputs.json").read_text(encoding="utf-8")))


@pytest.fixture
def settings(case: dict[str, Any]) -> dict[str, Any]:
    """The golden case's sizes and tags, as a checkpoint's config has them."""
    more = {"image_proj_dim": 512, "label_dim": case["label_embed_dim"]}
    rows = zip(case["tag_list"], case["class_threshold"], strict=True)
    tags = [
        {"name": n, "kind": "scene" if n == "sunset" else "object", "threshold": t} for n, t in rows
    ]
    return {"model": tagging_sizes(case) | more, "image_size": case["image_size"], "tags": tags}


@pytest.fixture
def files(golden: Path, tmp_path: Path, settings: dict[str, Any]) -> dict[str, Path]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    return {"weights": golden / "ram_tagging" / "state_dict.safetensors", "config": config}


@pytest.fixture
def tagger(files: dict[str, Path]) -> RAMTagger:
    return RAMTagger(*read_ram(files, "golden"))


def golden_logits(golden: Path, tagger: RAMTagger) -> NDArray[np.float32]:
    stored = np.load(golden / "ram_tagging" / "inputs.npz")
    with torch.inference_mode():
        images = torch.from_numpy(stored["image"]).float()
        logits: NDArray[np.float32] = tagger.network(images, tagger.queries).numpy()
    return logits


def joined(tagger: RAMTagger, logits: NDArray[np.float32], threshold: float | None) -> list[str]:
    """The tags as the official code writes them: in list order, a name once a row."""
    lines = []
    for scores in torch.from_numpy(logits).sigmoid().numpy():
        names = dict(zip([f"{i}" for i in range(len(scores))], tagger.table.names, strict=True))
        by_row = dataclasses.replace(tagger.table, names=tuple(names))
        rows = sorted(int(row) for row in by_row.above(scores, threshold).names)
        lines.append(" | ".join(names[f"{row}"] for row in rows))
    return lines


def test_tags_are_the_official_ones(
    golden: Path, tagger: RAMTagger, expected: dict[str, Any]
) -> None:
    logits = golden_logits(golden, tagger)
    assert joined(tagger, logits, None) == expected["tags"]
    for threshold, tags in expected["tags_uniform_threshold"].items():
        assert joined(tagger, logits, float(threshold)) == tags


def test_deleted_tags_are_gone_and_the_others_stay(
    golden: Path, tagger: RAMTagger, expected: dict[str, Any]
) -> None:
    fewer = tagger.without([tagger.table.names[i] for i in expected["delete_tag_index"]])
    logits = golden_logits(golden, fewer)
    assert joined(fewer, logits, None) == expected["tags_after_delete"]
    kept = [i for i in range(20) if i not in expected["delete_tag_index"]]
    official = np.load(golden / "ram_tagging" / "outputs.npz")["logits"]
    np.testing.assert_allclose(logits, official[:, kept], rtol=0, atol=1e-5)


def test_tags_of_other_label_embeddings_are_the_official_ones(
    golden: Path, tagger: RAMTagger, case: dict[str, Any], expected: dict[str, Any]
) -> None:
    stored = np.load(golden / "ram_tagging" / "inputs.npz")["openset_label_embed"]
    names = case["openset_tag_list"]
    with torch.inference_mode():
        queries = tagger.network.label_queries(torch.from_numpy(stored).float())
    table = TagTable.of(names, [expected["openset_threshold"]] * len(names))
    openset = RAMTagger(tagger.network, table, queries=queries)
    assert joined(openset, golden_logits(golden, openset), None) == expected["openset_tags"]


@pytest.mark.parametrize("mode", ["rgb", "rgba", "gray"])
def test_prepares_pictures_as_the_official_transform(golden: Path, mode: str) -> None:
    with PILImage.open(golden / "preprocess" / f"{mode}.png") as opened:
        picture = np.asarray(opened.convert("RGB"))
    stored = np.load(golden / "preprocess" / "outputs.npz")
    np.testing.assert_allclose(prepare(picture, 96), stored[f"ram_{mode}_96"], rtol=0, atol=1e-6)


def test_prepares_pictures_at_other_sizes(golden: Path, pictures: list[Pixels]) -> None:
    stored = np.load(golden / "preprocess" / "outputs.npz")
    big = prepare(pictures[0], 384)[:, ::8, ::8]
    np.testing.assert_allclose(big, stored["ram_rgb_384_every8"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(prepare(pictures[0], 32), stored["ram_rgb_32"], rtol=0, atol=1e-6)


def test_a_batch_of_unlike_sizes_equals_single_images_bit_for_bit(
    tagger: RAMTagger, pictures: list[Pixels]
) -> None:
    together = tagger.scores(pictures)
    for picture, scores in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(tagger.scores([picture])[0], scores)
    assert np.abs(together[0] - together[2]).max() > 0.01
    for picture, tags in zip(pictures, tagger.tag(pictures), strict=True):
        assert tags.names == tagger.tag([picture])[0].names


def test_larger_batches_give_the_same_scores(tagger: RAMTagger, pictures: list[Pixels]) -> None:
    batched = RAMTagger(tagger.network, tagger.table, batch_size=2)
    np.testing.assert_allclose(batched.scores(pictures), tagger.scores(pictures), atol=1e-5)


def test_a_compiled_encoder_gives_the_same_scores(
    files: dict[str, Path], pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Traced as ever, but run by torch's own kernels: to make others takes a minute.
    traced = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    network, table = read_ram(files, "golden")
    tagger = RAMTagger(network, table)
    exact = tagger.scores(pictures[:1])
    keys = list(network.state_dict())
    tagger.compile()
    assert network.visual_encoder._compiled_call_impl is not None
    np.testing.assert_allclose(tagger.scores(pictures[:1]), exact, atol=1e-5)
    assert list(network.state_dict()) == keys


def test_bfloat16_gives_nearly_the_same_scores(tagger: RAMTagger, pictures: list[Pixels]) -> None:
    shorter = RAMTagger(tagger.network, tagger.table, dtype=torch.bfloat16)
    found, exact = shorter.scores(pictures), tagger.scores(pictures)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - exact).max() < 0.05


def test_tags_come_best_first_with_their_scores_and_kinds(
    tagger: RAMTagger, pictures: list[Pixels]
) -> None:
    (tags,) = tagger.tag(pictures[:1], threshold=0.0)
    assert sorted(tags.names) == sorted(set(tagger.table.names))
    assert (np.diff(tags.scores) <= 0).all()
    rows = {name: i for i, name in enumerate(tagger.table.names) if name != "train"}
    scores = tagger.scores(pictures[:1])[0]
    for name, score, kind in zip(tags.names, tags.scores, tags.kinds, strict=True):
        assert kind == ("scene" if name == "sunset" else "object")
        assert score == (scores[rows[name]] if name in rows else scores[16:18].max())


def test_nothing_above_the_threshold_is_an_ordinary_result(
    tagger: RAMTagger, pictures: list[Pixels]
) -> None:
    for tags in tagger.tag(pictures, threshold=1.0):
        assert len(tags) == 0
        assert tags.scores.dtype == np.float32


def test_no_images_give_no_results(tagger: RAMTagger) -> None:
    assert tagger.tag([]) == []
    assert tagger.scores([]).shape == (0, 20)


def test_a_tagger_without_tags_finds_nothing(tagger: RAMTagger, pictures: list[Pixels]) -> None:
    nothing = tagger.without(tagger.table.names)
    assert [len(tags) for tags in nothing.tag(pictures)] == [0, 0, 0]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(tagger: RAMTagger, threshold: float) -> None:
    with pytest.raises(InputError, match=r"expected a number in \[0, 1\]"):
        tagger.tag([], threshold=threshold)


def test_deleting_an_unknown_tag_is_refused(tagger: RAMTagger) -> None:
    with pytest.raises(UnknownNameError, match="no such tag: dogg"):
        tagger.without(["dog", "dogg"])


def test_one_query_a_tag_is_demanded(tagger: RAMTagger) -> None:
    with pytest.raises(InputError, match="a query for each of 20 tags, got 3"):
        RAMTagger(tagger.network, tagger.table, queries=torch.zeros(3, 48))


def test_new_words_are_scored_beside_the_fixed_tags(
    tagger: RAMTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    longer = tagger.extended(["traffic cone", "corgi"], labels=labels)
    found = longer.scores(pictures)
    np.testing.assert_allclose(found[:, :20], tagger.scores(pictures), rtol=0, atol=1e-6)
    for column, word in [(20, "corgi"), (21, "traffic cone")]:
        queries = tagger.network.label_queries(labels.word(word)[None])
        alone = RAMTagger(tagger.network, TagTable.of([word], [0.5]), queries=queries)
        np.testing.assert_allclose(found[:, [column]], alone.scores(pictures), rtol=0, atol=1e-6)
    assert np.abs(found[:, 20] - found[:, 21]).max() > 1e-5
    assert longer.table.names[20:] == ("corgi", "traffic cone")
    assert longer.table.thresholds[20:].tolist() == [0.5, 0.5]
    assert len(tagger.table) == len(tagger.queries) == 20


def test_new_words_have_a_threshold_of_their_own(
    tagger: RAMTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    score = float(tagger.extended(["corgi"], labels=labels).scores(pictures[:1])[0, 20])
    fixed = set(tagger.tag(pictures[:1])[0].names)
    for threshold, seen in [(score - 1e-4, {"corgi"}), (score + 1e-4, set())]:
        longer = tagger.extended(["corgi"], threshold=threshold, labels=labels)
        assert set(longer.tag(pictures[:1])[0].names) == fixed | seen


def test_the_order_of_new_words_has_no_effect(
    tagger: RAMTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    words = ["traffic cone", "corgi", "zebra crossing"]
    first = tagger.extended(words, labels=labels)
    second = tagger.extended(words[::-1], labels=labels)
    assert first.table.names == second.table.names
    np.testing.assert_array_equal(first.scores(pictures), second.scores(pictures))


def test_a_word_that_is_a_tag_needs_no_text_encoder(
    tagger: RAMTagger, labels: CLIPLabels, pictures: list[Pixels], tmp_path: Path
) -> None:
    nowhere = CLIPLabels(labels.model, tmp_path / "nowhere.safetensors")
    same = tagger.extended(["Dog"], labels=nowhere)
    assert same.table.names == tagger.table.names
    np.testing.assert_array_equal(same.scores(pictures), tagger.scores(pictures))


def test_tags_can_be_replaced_by_words(
    tagger: RAMTagger, labels: CLIPLabels, pictures: list[Pixels]
) -> None:
    nothing = tagger.without(tagger.table.names)
    own = nothing.extended(["corgi"], labels=labels).extended(["dog"], threshold=0, labels=labels)
    assert own.table.names == ("corgi", "dog")
    assert own.table.thresholds.tolist() == [0.5, 0]
    fewer = own.without(["corgi"])
    np.testing.assert_allclose(fewer.scores(pictures), own.scores(pictures)[:, 1:], atol=1e-6)


def test_a_changed_tagger_runs_as_the_first(tagger: RAMTagger, labels: CLIPLabels) -> None:
    tagger = RAMTagger(tagger.network, tagger.table, dtype=torch.bfloat16, batch_size=3)
    for other in (tagger.without(["dog"]), tagger.extended(["corgi"], labels=labels)):
        assert (other.dtype, other.batch_size) == (torch.bfloat16, 3)
        assert other.network is tagger.network


def test_a_text_encoder_that_does_not_fit_is_refused(tagger: RAMTagger, tmp_path: Path) -> None:
    other = CLIPLabels(*save_small_clip(tmp_path, dim=24))
    expected = r"512 numbers each, CLIP small-clip-24 \(.*\) gives 24"
    with pytest.raises(InputError, match=expected):
        tagger.extended(["corgi"], labels=other)


def test_words_are_embedded_by_the_official_text_encoder(tagger: RAMTagger, home: Path) -> None:
    with pytest.raises(WeightsError, match="`grounded-ram download clip:vit-b-16-openai`"):
        tagger.extended(["corgi"])


def test_chinese_names_are_fetched_when_asked_for(home: Path, shared: Path) -> None:
    with pytest.raises(WeightsError, match="`grounded-ram download ram-names:chinese`"):
        chinese_names()
    home.mkdir()
    for name in ("ram_tag_list.txt", "ram_tag_list_chinese.txt"):
        (home / name).write_bytes((shared / "assets" / name).read_bytes())
    assert chinese_names()["zoo"] == "动物园"


def test_tags_may_come_from_text_files(
    files: dict[str, Path], settings: dict[str, Any], tmp_path: Path
) -> None:
    rows = settings.pop("tags")
    files["config"].write_text(json.dumps(settings), encoding="utf-8")
    files["tags"], files["thresholds"] = tmp_path / "tags.txt", tmp_path / "thresholds.txt"
    # The official list ends without a line break.
    files["tags"].write_text("\n".join(row["name"] for row in rows), encoding="utf-8")
    lines = "".join(f"{row['threshold']}\n" for row in rows)
    files["thresholds"].write_text(lines, encoding="utf-8")
    _, table = read_ram(files, "golden")
    assert table.names == tuple(row["name"] for row in rows)
    vocabulary = official_vocabulary()
    known = [name in vocabulary for name in table.names]
    assert any(known)
    assert table.kinds == tuple(
        vocabulary[name].kind if judged else "unjudged"
        for name, judged in zip(table.names, known, strict=True)
    )
    np.testing.assert_array_equal(
        table.thresholds, np.array([row["threshold"] for row in rows], np.float32)
    )


def rewrite(files: dict[str, Path], drop: str = "", **added: torch.Tensor) -> None:
    """Put other weights beside the config."""
    state = load_file(files["weights"])
    state.pop(drop, None)
    files["weights"] = files["config"].with_name("weights.safetensors")
    save_file(state | added, files["weights"])


@pytest.mark.parametrize("key", ["fc.bias", "visual_encoder.layers.2.downsample.norm.bias"])
def test_a_missing_key_is_an_error(files: dict[str, Path], key: str) -> None:
    rewrite(files, drop=key)
    with pytest.raises(WeightsError, match=rf"^golden: .*keys 1 missing \({key}\)$"):
        read_ram(files, "golden")


def test_an_unknown_key_is_an_error(files: dict[str, Path]) -> None:
    rewrite(files, surplus=torch.zeros(1))
    with pytest.raises(WeightsError, match=r"keys 1 unknown \(surplus\)"):
        read_ram(files, "golden")


def test_a_key_of_another_shape_is_an_error(files: dict[str, Path]) -> None:
    rewrite(files, **{"fc.bias": torch.zeros(2)})
    told = r"keys 1 of another shape \(fc\.bias is \(.+\), expected \(.+\)\)"
    with pytest.raises(WeightsError, match=told):
        read_ram(files, "golden")


def test_weights_of_another_model_name_a_few_keys(files: dict[str, Path]) -> None:
    files["weights"] = files["config"].with_name("weights.safetensors")
    save_file({"image_encoder.pos_embed": torch.zeros(1)}, files["weights"])
    with pytest.raises(WeightsError, match=r"missing \(.*, \.\.\.\); 1 unknown \(image_enc") as e:
        read_ram(files, "golden")
    assert len(str(e.value)) < 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"windows": 7}}, "RAMConfig has no field windows"),
        ({"model": {"embed_dim": "16"}}, "TypeError"),
        ({"model": 3}, "TypeError"),
        ({"tags": [{"name": "dog"}]}, "KeyError: 'kind'"),
        ({"tags": []}, "the network has 20 tags, its list 0"),
        ({"image_size": 384}, "image_size is 384, but 128 in its model"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(
    files: dict[str, Path], settings: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    files["config"].write_text(json.dumps(settings | change), encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        read_ram(files, "golden")


def test_a_config_that_is_not_json_is_an_error(files: dict[str, Path]) -> None:
    files["config"].write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="golden: its config or tag list cannot be used"):
        read_ram(files, "golden")


def test_loads_a_checkpoint_row(files: dict[str, Path], pictures: list[Pixels]) -> None:
    row = Checkpoint(
        name="ram:golden",
        summary="the golden case",
        licence="Apache-2.0",
        files={r: WeightFile(name=p.name, source=f"file:{p}") for r, p in files.items()},
    )
    loaded = load_ram(row, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert (loaded.device, loaded.dtype) == (torch.device("cpu"), torch.bfloat16)
    expected = RAMTagger(*read_ram(files, "golden"), dtype=torch.bfloat16)
    np.testing.assert_array_equal(loaded.scores(pictures), expected.scores(pictures))


def test_the_official_sizes_need_no_config(files: dict[str, Path], tmp_path: Path) -> None:
    tags, thresholds = tmp_path / "tags.txt", tmp_path / "thresholds.txt"
    tags.write_text("dog\ncat\n", encoding="utf-8")
    thresholds.write_text("0.65\n0.8\n", encoding="utf-8")
    without = {"weights": files["weights"], "tags": tags, "thresholds": thresholds}
    with pytest.raises(WeightsError, match="the network has 4585 tags, its list 2"):
        read_ram(without, "golden")


def test_labels_are_computed_once(files: dict[str, Path], pictures: list[Pixels]) -> None:
    network, table = read_ram(files, "golden")
    tagger = RAMTagger(network, table)
    before = tagger.scores(pictures[:1])
    with torch.no_grad():
        network.label_embed.zero_()
    np.testing.assert_array_equal(tagger.scores(pictures[:1]), before)


def test_the_network_is_set_to_evaluation() -> None:
    sizes = {"image_size": 48, "patch_size": 8, "window": 3, "embed_dim": 4, "depths": (2,)}
    config = RAMConfig.from_dict(sizes | {"heads": (2,), "num_tags": 2, "drop_path": 0.9})
    tagger = RAMTagger(RAM(config).train(), TagTable.of(["a", "b"], [0.5, 0.5]))
    picture = np.full((9, 9, 3), 200, np.uint8)
    np.testing.assert_array_equal(tagger.scores([picture]), tagger.scores([picture]))
