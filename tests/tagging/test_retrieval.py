from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.alignment import AlignmentConfig, text_inputs
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from grounded_ram.ram.tag2text_networks import Tag2TextNetworks
from grounded_ram.tagging.ram import prepare
from grounded_ram.tagging.ranking import recall_at_k
from grounded_ram.tagging.retrieval import Retriever, load_retriever
from grounded_ram.training.checkpoint_files import model_config, write_checkpoint
from grounded_ram.training.losses import contrastive_loss, matching_loss
from grounded_ram.weights import Checkpoint, WeightFile
from tests.golden_captions import tag2text_files

Pixels = NDArray[np.uint8]

SIZES = Tag2TextConfig(
    image_size=48,
    patch_size=8,
    window=3,
    embed_dim=8,
    depths=(2, 2),
    heads=(1, 2),
    num_tags=5,
    head_width=24,
    head_heads=2,
    head_ffn=32,
    dropout=0.0,
    drop_path=0.0,
)
# Warm, so that among so few pairs every wrong one is drawn now and then.
ALIGNMENT = AlignmentConfig(dim=16, temperature=0.2)
TEXTS = (
    "a dog on the grass",
    "a cat in a kitchen",
    "two people with a laptop",
    "a river and a mountain bike",
    "a stop sign in the snow",
    "bread",
)
OWN = [[i] for i in range(len(TEXTS))]


@pytest.fixture(scope="module")
def tokenizer(golden: Path) -> CaptionTokenizer:
    return CaptionTokenizer(golden / "tag2text" / "vocab.txt")


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Noise of unlike sizes, one picture a text."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8) for i in range(len(TEXTS))]


def text_sizes(tokenizer: CaptionTokenizer) -> TextConfig:
    return TextConfig(vocab_size=len(tokenizer), max_positions=40, layers=2, heads=2)


def build(tokenizer: CaptionTokenizer) -> Tag2TextNetworks:
    torch.manual_seed(0)
    return Tag2TextNetworks(SIZES, text_sizes(tokenizer), ALIGNMENT)


@pytest.fixture(scope="module")
def learnt(tokenizer: CaptionTokenizer, pictures: list[Pixels]) -> Tag2TextNetworks:
    """A tiny network that was taught these pairs and no others; tests leave it as it is."""
    network = build(tokenizer).train()
    images = torch.stack([prepare(picture, 48) for picture in pictures])
    inputs = text_inputs(tokenizer, TEXTS)
    rest = [p for name, p in network.named_parameters() if name != "alignment.temp"]
    groups = [{"params": rest}, {"params": [network.alignment.temp], "lr": 1e-4}]
    optimizer = torch.optim.Adam(groups, lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(220):
        tokens = network.image_tokens(network.visual_encoder(images).tokens)
        found = network.alignment(inputs, tokens, generator=generator)
        loss = contrastive_loss(found.images, found.texts, network.alignment.temperature)
        (loss + matching_loss(found.match_logits, found.matches)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return network.eval()


@pytest.fixture
def retriever(learnt: Tag2TextNetworks, tokenizer: CaptionTokenizer) -> Retriever:
    return Retriever(learnt, tokenizer, batch_size=4)


@pytest.mark.parametrize("match", [False, True])
def test_pairs_that_were_learnt_find_each_other(
    retriever: Retriever, pictures: list[Pixels], match: bool
) -> None:
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    found = retriever.images_for(texts, images, match=match)
    assert recall_at_k(found.numbers, OWN, 1) == 1
    found = retriever.texts_for(images, texts, match=match)
    assert recall_at_k(found.numbers, OWN, 1) == 1


def test_an_untrained_network_does_not_find_them(
    tokenizer: CaptionTokenizer, pictures: list[Pixels]
) -> None:
    retriever = Retriever(build(tokenizer), tokenizer)
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    for match in (False, True):
        found = retriever.images_for(texts, images, match=match)
        assert recall_at_k(found.numbers, OWN, 1) < 1


def by_hand(
    network: Tag2TextNetworks, tokenizer: CaptionTokenizer, pictures: Sequence[Pixels]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines over the temperature and log-odds, (images, texts), one pair at a time."""
    alignment = network.alignment
    cosines = np.zeros((len(pictures), len(TEXTS)), np.float32)
    odds = np.zeros_like(cosines)
    with torch.inference_mode():
        for i, picture in enumerate(pictures):
            tokens = network.visual_encoder(prepare(picture, 48)[None]).tokens
            for j, text in enumerate(TEXTS):
                inputs = text_inputs(tokenizer, [text])
                image, words = alignment.image_directions(tokens), alignment.text_directions(inputs)
                cosines[i, j] = (image @ words.T / alignment.temperature).item()
                logits = alignment.match(inputs, tokens, torch.tensor([0]))[0]
                odds[i, j] = (logits[1] - logits[0]).item()
    return cosines, odds


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_the_best_k_by_cosine_are_ranked_by_matching(
    learnt: Tag2TextNetworks,
    tokenizer: CaptionTokenizer,
    pictures: list[Pixels],
    batch_size: int,
) -> None:
    retriever = Retriever(learnt, tokenizer, batch_size=batch_size)
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    cosines, odds = by_hand(learnt, tokenizer, pictures)
    for search, first, second in (
        (lambda **how: retriever.texts_for(images, texts, k=3, **how), cosines, odds),
        (lambda **how: retriever.images_for(texts, images, k=3, **how), cosines.T, odds.T),
    ):
        best = np.argsort(-first, axis=1)[:, :3]
        found = search(match=False)
        np.testing.assert_array_equal(found.numbers, best)
        np.testing.assert_allclose(
            found.scores, np.take_along_axis(first, best, 1), rtol=1e-3, atol=1e-3
        )
        chosen = np.take_along_axis(second, best, 1)
        order = np.argsort(-chosen, axis=1)
        found = search()
        np.testing.assert_array_equal(found.numbers, np.take_along_axis(best, order, 1))
        np.testing.assert_allclose(
            found.scores, np.take_along_axis(chosen, order, 1), rtol=1e-3, atol=1e-3
        )


def test_two_searches_are_the_same_to_the_last_digit(
    retriever: Retriever, pictures: list[Pixels]
) -> None:
    one, other = (
        retriever.images_for(retriever.embed_texts(TEXTS), retriever.embed_images(pictures))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.numbers, other.numbers)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_batches_halve_where_the_memory_is_short(
    learnt: Tag2TextNetworks,
    tokenizer: CaptionTokenizer,
    pictures: list[Pixels],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retriever = Retriever(learnt, tokenizer, batch_size=8)
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    expected = retriever.images_for(texts, images)
    match = learnt.alignment.match

    def short(inputs: Any, *rest: Any) -> torch.Tensor:
        if len(inputs.ids) > 4:
            raise RuntimeError("CUDA out of memory")
        return match(inputs, *rest)

    monkeypatch.setattr(learnt.alignment, "match", short)
    found = retriever.images_for(texts, images)
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    assert retriever.batch_size == 4


@pytest.mark.parametrize("match", [False, True])
def test_common_tags_are_added_to_a_score(
    learnt: Tag2TextNetworks, tokenizer: CaptionTokenizer, pictures: list[Pixels], match: bool
) -> None:
    seen: list[Collection[str]] = [["dog", "grass"], ["cat"], [], [], ["dog"], []]
    parsed: list[Collection[str]] = [["grass", "dog"], [], ["dog"], [], [], []]
    plain, weighed = (Retriever(learnt, tokenizer, tag_weight=w) for w in (0.0, 50.0))
    images, texts = plain.embed_images(pictures, seen), plain.embed_texts(TEXTS, parsed)
    common = np.array([[len({*s} & {*p}) for p in parsed] for s in seen])
    for direction in ("images_for", "texts_for"):
        to_images = direction == "images_for"
        arguments = (texts, images) if to_images else (images, texts)
        without = getattr(plain, direction)(*arguments, match=match)
        found = getattr(weighed, direction)(*arguments, match=match)
        scores = np.zeros((6, 6), np.float32)
        np.put_along_axis(scores, without.numbers, without.scores, 1)
        expected = scores + 50 * (common.T if to_images else common)
        order = np.argsort(-expected, axis=1)
        np.testing.assert_array_equal(found.numbers, order)
        np.testing.assert_allclose(
            found.scores, np.take_along_axis(expected, order, 1), rtol=1e-4, atol=1e-4
        )


def test_nothing_to_search_and_nothing_to_search_with(
    retriever: Retriever, pictures: list[Pixels]
) -> None:
    images, texts = retriever.embed_images(pictures[:2]), retriever.embed_texts(TEXTS[:3])
    no_images, no_texts = retriever.embed_images([]), retriever.embed_texts([])
    assert no_images.tokens.shape == (0, *images.tokens.shape[1:])
    assert no_images.directions.shape == no_texts.directions.shape == (0, 16)
    for match in (False, True):
        assert retriever.images_for(texts, no_images, match=match).numbers.shape == (3, 0)
        assert retriever.images_for(no_texts, images, match=match).scores.shape == (0, 2)
        assert retriever.texts_for(images, no_texts, match=match).numbers.shape == (2, 0)


def test_a_shorter_type_keeps_smaller_tokens(
    learnt: Tag2TextNetworks, tokenizer: CaptionTokenizer, pictures: list[Pixels]
) -> None:
    retriever = Retriever(learnt, tokenizer, dtype=torch.bfloat16)
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    assert images.tokens.dtype == torch.bfloat16
    assert images.directions.dtype == texts.directions.dtype == np.float32
    assert recall_at_k(retriever.images_for(texts, images).numbers, OWN, 1) == 1


def test_a_network_without_alignment_parts_is_refused(tokenizer: CaptionTokenizer) -> None:
    network: Any = Tag2Text(SIZES)
    with pytest.raises(InputError, match="expected Tag2TextNetworks, trained with them, got Tag2T"):
        Retriever(network, tokenizer)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([["dog"]], "tags: expected 2 entries, one for each, got 1"),
        (["dog", "cat"], "tags: expected a list of names for each, got 'dog'"),
    ],
)
def test_tags_that_are_not_one_entry_each_are_refused(
    retriever: Retriever, pictures: list[Pixels], tags: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        retriever.embed_images(pictures[:2], tags)
    with pytest.raises(InputError, match=message):
        retriever.embed_texts(TEXTS[:2], tags)


def test_one_string_is_no_list_of_texts_and_no_candidates_are_no_search(
    retriever: Retriever,
) -> None:
    with pytest.raises(InputError, match=r"write \['a dog'\]"):
        retriever.embed_texts("a dog")
    texts = retriever.embed_texts(TEXTS)
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        retriever.images_for(texts, retriever.embed_images([]), k=0)


def row(files: dict[str, Path]) -> Checkpoint:
    return Checkpoint(
        name="tag2text:tiny",
        summary="a tiny one",
        licence="Apache-2.0",
        files={role: WeightFile(name=p.name, source=f"file:{p}") for role, p in files.items()},
    )


@pytest.fixture
def files(
    learnt: Tag2TextNetworks, tokenizer: CaptionTokenizer, golden: Path, tmp_path: Path
) -> dict[str, Path]:
    """The learnt network as a checkpoint, all of it in one file."""
    config = {
        "model": model_config(SIZES),
        "text": dataclasses.asdict(text_sizes(tokenizer)),
        "alignment": model_config(ALIGNMENT),
    }
    write_checkpoint(tmp_path, "tiny", learnt, config)
    return {
        "weights": tmp_path / "tiny.safetensors",
        "config": tmp_path / "tiny.json",
        "vocab": golden / "tag2text" / "vocab.txt",
    }


def load(files: dict[str, Path]) -> Retriever:
    return load_retriever(row(files), device=torch.device("cpu"), dtype=torch.float32)


def test_what_was_learnt_survives_its_checkpoint(
    files: dict[str, Path], pictures: list[Pixels]
) -> None:
    retriever = load(files)
    images, texts = retriever.embed_images(pictures), retriever.embed_texts(TEXTS)
    for match in (False, True):
        assert recall_at_k(retriever.texts_for(images, texts, match=match).numbers, OWN, 1) == 1


def test_a_published_checkpoint_is_refused_with_what_is_needed(
    golden: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"no keys alignment\.\*.*trained with alignment"):
        load(tag2text_files(golden, tmp_path))


def rewritten(files: dict[str, Path], **changes: Any) -> dict[str, Path]:
    settings = json.loads(files["config"].read_text("utf-8")) | changes
    files["config"].write_text(json.dumps(settings), "utf-8")
    return files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alignment": {"dim": 3}}, "not the weights of this Tag2TextNetworks.*of another shape"),
        ({"alignment": {"width": 3}}, "its config cannot be used.*no field width"),
        ({"alignment": None}, "its config cannot be used"),
    ],
)
def test_a_config_of_another_network_is_refused(
    files: dict[str, Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        load(rewritten(files, **changes))


def test_another_vocabulary_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    lines = files["vocab"].read_text("utf-8").splitlines()
    files["vocab"] = tmp_path / "vocab.txt"
    files["vocab"].write_text("\n".join([*lines, "newword"]), "utf-8")
    with pytest.raises(WeightsError, match=r"know 1227 tokens; .* has 1228"):
        load(files)


def test_a_row_without_a_vocabulary_is_refused(files: dict[str, Path]) -> None:
    del files["vocab"]
    with pytest.raises(WeightsError, match="retrieval needs vocab in its row"):
        load(files)


def test_shared_weights_that_differ_are_refused(
    files: dict[str, Path], learnt: Tag2TextNetworks
) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(files["weights"])
    key = "alignment.text_encoder.encoder.layer.0.crossattention.self.query.weight"
    save_file(state | {key: state[key] + 1}, files["weights"])
    with pytest.raises(WeightsError, match="expected one tensor under several names"):
        load(files)
