from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grounded_ram.errors import InputError
from grounded_ram.ram.bert import SelfAttention, TagEncoder, TextConfig, TextDecoder
from grounded_ram.ram.tag_decoder import HeadSizes, KeysValues, TagDecoder
from tests.golden_captions import golden_ram, golden_tag2text

CONFIG = TextConfig(vocab_size=30, max_positions=16, layers=3, heads=3)
HEAD = HeadSizes(layers=2, width=12, memory_dim=10, heads=2, ffn=20, dropout=0.0)


def spread_out(network: nn.Module) -> None:
    """Draw weights far enough apart that mistakes show."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "LayerNorm.weight" not in name:
                value.copy_(torch.randn(value.shape) * 0.5)


@pytest.fixture
def decoder() -> TextDecoder:
    network = TextDecoder(CONFIG, HEAD)
    spread_out(network)
    return network


@pytest.fixture
def encoder() -> TagEncoder:
    network = TagEncoder(CONFIG, HEAD, TagDecoder(HEAD))
    spread_out(network)
    return network


def test_tag_features_and_words_agree_with_the_official_tag2text(
    golden: Path, tmp_path: Path
) -> None:
    network, text, _ = golden_tag2text(golden, tmp_path)
    stored = np.load(golden / "tag2text" / "inputs.npz")
    expected = np.load(golden / "tag2text" / "outputs.npz")
    with torch.inference_mode():
        tokens = network.visual_encoder(torch.from_numpy(stored["image"]).float()).tokens
        ids = torch.from_numpy(stored["encoder_input_ids_user"])
        real = torch.from_numpy(stored["encoder_attention_mask_user"]).bool()
        features = text.tag_encoder(ids, real, tokens)
        logits = text.text_decoder(torch.from_numpy(stored["prompt_ids"]), features)
    np.testing.assert_allclose(features, expected["tag_encoder_output_user"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits, expected["lm_logits_prompt_user"], rtol=0, atol=5e-5)


def test_tag_features_and_words_agree_with_the_official_ram(golden: Path, tmp_path: Path) -> None:
    """Its tag encoder looks at the projected image tokens; its padding is that of training."""
    network, text, _ = golden_ram(golden, tmp_path)
    stored = np.load(golden / "ram_losses" / "inputs.npz")
    expected = np.load(golden / "ram_losses" / "outputs.npz")
    with torch.inference_mode():
        tokens = network.visual_encoder(torch.from_numpy(stored["image"]).float()).tokens
        ids = torch.from_numpy(stored["encoder_input_ids"])
        real = torch.from_numpy(stored["encoder_attention_mask"]).bool()
        features = text.tag_encoder(ids, real, network.image_tokens(tokens))
        logits = text.text_decoder(torch.from_numpy(stored["decoder_input_ids"]), features)
    np.testing.assert_allclose(features, expected["tag_encoder_output"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits[0, :6], expected["lm_logits_first3"], rtol=0, atol=5e-5)


def slow_self_attention(attention: SelfAttention, x: Tensor, row: int, seen: list[int]) -> Tensor:
    """One token of one text, head by head, with the residual."""
    projections = attention.self
    q, k, v = projections.query(x[row]), projections.key(x[seen]), projections.value(x[seen])
    parts = []
    for head in range(3):
        cut = slice(4 * head, 4 * head + 4)
        weights = torch.exp(k[:, cut] @ q[cut] / math.sqrt(4))
        parts.append((weights / weights.sum()) @ v[:, cut])
    return attention.output(torch.cat(parts), x[row])


def test_self_attention_equals_the_formula_over_what_a_token_sees() -> None:
    attention = SelfAttention(dataclasses.replace(HEAD, heads=3))
    spread_out(attention)
    x = torch.randn(2, 5, 12)
    sees = torch.rand(2, 1, 5, 5) > 0.5
    sees |= torch.eye(5, dtype=torch.bool)
    out, _ = attention(x, None, sees)
    for text in range(2):
        for row in range(5):
            seen = sees[text, 0, row].nonzero().flatten().tolist()
            expected = slow_self_attention(attention, x[text], row, seen)
            torch.testing.assert_close(out[text, row], expected)


def test_tokens_after_past_ones_are_those_of_the_whole_text() -> None:
    attention = SelfAttention(dataclasses.replace(HEAD, heads=3))
    spread_out(attention)
    x = torch.randn(2, 5, 12)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    whole, read = attention(x, None, causal)
    past = KeysValues(*(part[:, :, :3] for part in read))
    rest, all_read = attention(x[:, 3:], past, causal[3:])
    torch.testing.assert_close(rest, whole[:, 3:])
    torch.testing.assert_close(all_read.keys, read.keys)
    torch.testing.assert_close(all_read.values, read.values)


def test_words_one_by_one_are_those_of_the_whole_text(decoder: TextDecoder) -> None:
    ids, memory = torch.randint(30, (2, 7)), torch.randn(2, 5, 12)
    whole = decoder(ids, memory)
    logits, written = decoder.step(ids[:, :3], decoder.start(memory))
    torch.testing.assert_close(logits, whole[:, 2])
    for place in range(3, 7):
        assert written.length == place
        logits, written = decoder.step(ids[:, place : place + 1], written)
        torch.testing.assert_close(logits, whole[:, place])


def test_texts_of_one_memory_may_be_many_and_change_places(decoder: TextDecoder) -> None:
    memory = torch.randn(2, 5, 12)
    prompt, rest = torch.randint(30, (2, 3)), torch.randint(30, (4, 2))
    _, written = decoder.step(prompt, decoder.start(memory))
    _, written = decoder.step(rest[:, :1], written.take(torch.tensor([0, 0, 1, 1])))
    logits, _ = decoder.step(rest[[1, 0, 3, 2], 1:], written.take(torch.tensor([1, 0, 3, 2])))
    for i, row in enumerate([1, 0, 3, 2]):
        ids = torch.cat([prompt[row // 2], rest[row]])
        alone = decoder(ids[None], memory[row // 2][None])
        torch.testing.assert_close(logits[i], alone[0, -1])


def test_no_word_depends_on_a_later_one(decoder: TextDecoder) -> None:
    ids, memory = torch.randint(30, (1, 7)), torch.randn(1, 5, 12)
    changed = ids.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 30
    before, after = decoder(ids, memory), decoder(changed, memory)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=2).min() > 0.01


def test_no_tag_depends_on_padding_or_on_another_image(encoder: TagEncoder) -> None:
    ids, tokens = torch.randint(30, (2, 6)), torch.randn(2, 5, 10)
    real = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    features = encoder(ids, real, tokens)
    alone = encoder(ids[:1, :4], real[:1, :4], tokens[:1])
    torch.testing.assert_close(features[0, :4], alone[0])


def test_tags_depend_on_their_order_and_on_the_image(encoder: TagEncoder) -> None:
    ids, real = torch.randint(30, (1, 4)), torch.ones(1, 4, dtype=torch.bool)
    tokens = torch.randn(2, 5, 10)
    features = encoder(ids, real, tokens[:1])
    assert (features - encoder(ids, real, tokens[1:])).abs().max() > 0.1
    assert (features - encoder(ids.flip(1), real, tokens[:1]).flip(1)).abs().max() > 0.02


def test_the_first_layers_are_the_tagging_heads_split_over_more_heads() -> None:
    tagging_head = TagDecoder(HEAD)
    encoder = TagEncoder(CONFIG, HEAD, tagging_head)
    shared = {id(value) for value in tagging_head.parameters()}
    for i, layer in enumerate(encoder.encoder.layer):
        parts = (layer.crossattention, layer.intermediate, layer.output)
        ours = {id(value) for part in parts for value in part.parameters()}
        assert ours <= shared if i < 2 else not ours & shared
        assert not {id(value) for value in layer.attention.parameters()} & shared
        assert layer.crossattention.self.heads == 3
    assert tagging_head.encoder.layer[0].crossattention.self.heads == 2


def test_the_output_matrix_is_the_word_embedding(decoder: TextDecoder) -> None:
    predictions = decoder.cls["predictions"]
    assert predictions.decoder.weight is decoder.bert.embeddings.word_embeddings.weight
    assert predictions.bias is predictions.decoder.bias


def test_every_parameter_learns(encoder: TagEncoder, decoder: TextDecoder) -> None:
    ids, real = torch.randint(30, (2, 16)), torch.ones(2, 16, dtype=torch.bool)
    logits = decoder(ids, encoder(ids, real, torch.randn(2, 5, 10)))
    logits.square().sum().backward()
    for network in (encoder, decoder):
        idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
        assert idle == set()


def test_dropout_is_for_training_only() -> None:
    network = TextDecoder(CONFIG, dataclasses.replace(HEAD, dropout=0.5))
    spread_out(network)
    ids, memory = torch.randint(30, (1, 4)), torch.randn(1, 5, 12)
    for training in (True, False):
        network.train(training)
        assert torch.equal(network(ids, memory), network(ids, memory)) is not training


def test_heads_that_do_not_split_are_refused() -> None:
    with pytest.raises(InputError, match="12 channels cannot be split over 5 heads"):
        TextDecoder(dataclasses.replace(CONFIG, heads=5), HEAD)
