from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from grounded_ram.errors import InputError
from grounded_ram.ram.alignment import (
    Alignment,
    AlignmentConfig,
    TextInputs,
    hard_negatives,
    text_inputs,
)
from grounded_ram.ram.bert import TextConfig, TextDecoder
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.tag_decoder import HeadSizes

TEXT = TextConfig(vocab_size=30, max_positions=16, layers=3, heads=3)
HEAD = HeadSizes(layers=2, width=12, memory_dim=10, heads=2, ffn=20, dropout=0.0)
ENC = 29


@pytest.fixture(scope="module")
def tokenizer(golden: Path) -> CaptionTokenizer:
    return CaptionTokenizer(golden / "tag2text" / "vocab.txt")


@pytest.fixture
def alignment() -> Alignment:
    torch.manual_seed(1)
    decoder = TextDecoder(TEXT, HEAD)
    network = Alignment(AlignmentConfig(dim=8), TEXT, HEAD, decoder)
    spread_out(network)
    return network.eval()


@pytest.fixture
def texts() -> TextInputs:
    ids = torch.tensor([[3, 5, 6, 7, 4], [3, 8, 4, 0, 0], [3, 9, 5, 4, 0]])
    return TextInputs(ids, ids != 0)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(3, 5, 10, generator=torch.Generator().manual_seed(2))


def spread_out(network: nn.Module) -> None:
    """Draw weights far enough apart that mistakes show."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "LayerNorm.weight" not in name and name != "temp":
                value.copy_(torch.randn(value.shape) * 0.5)


def blip(alignment: Alignment) -> nn.Module:
    """BLIP's own text network, with our weights in it."""
    from transformers.models.blip.configuration_blip import BlipTextConfig
    from transformers.models.blip.modeling_blip_text import BlipTextModel

    config = BlipTextConfig(
        vocab_size=TEXT.vocab_size,
        hidden_size=HEAD.width,
        encoder_hidden_size=HEAD.memory_dim,
        intermediate_size=HEAD.ffn,
        num_hidden_layers=TEXT.layers,
        num_attention_heads=TEXT.heads,
        max_position_embeddings=TEXT.max_positions,
        is_decoder=True,  # builds the cross-attention; each call says how to run
    )
    network = BlipTextModel(config, add_pooling_layer=False).eval()
    report = network.load_state_dict(alignment.text_encoder.state_dict(), strict=False)
    assert not report.unexpected_keys
    assert set(report.missing_keys) <= {"embeddings.position_ids"}
    return network


def test_both_passes_are_blips(alignment: Alignment, texts: TextInputs, tokens: Tensor) -> None:
    reference = blip(alignment)
    matched = torch.cat([torch.full((3, 1), ENC), texts.ids[:, 1:]], 1)
    with torch.inference_mode():
        alone = reference(texts.ids, texts.real.long(), is_decoder=False, use_cache=False)
        fused = reference(
            matched,
            texts.real.long(),
            encoder_hidden_states=tokens,
            encoder_attention_mask=torch.ones(3, 5, dtype=torch.long),
            is_decoder=False,
            use_cache=False,
        )
        own = alignment.text_encoder.fuse(texts, tokens, torch.arange(3))
        torch.testing.assert_close(
            alignment.text_encoder.read(texts), alone.last_hidden_state[:, 0], rtol=0, atol=2e-5
        )
        torch.testing.assert_close(own, fused.last_hidden_state[:, 0], rtol=0, atol=2e-5)


def test_features_are_projected_to_unit_length(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    images, directions = alignment.image_directions(tokens), alignment.text_directions(texts)
    first = alignment.vision_proj(tokens[:, 0])
    torch.testing.assert_close(images, first / first.norm(dim=1, keepdim=True))
    read = alignment.text_proj(alignment.text_encoder.read(texts))
    torch.testing.assert_close(directions, read / read.norm(dim=1, keepdim=True))


def test_padding_changes_nothing(alignment: Alignment, texts: TextInputs, tokens: Tensor) -> None:
    short = TextInputs(texts.ids[1:2, :3], texts.real[1:2, :3])
    for found, alone in (
        (alignment.text_directions(texts)[1:2], alignment.text_directions(short)),
        (
            alignment.match(texts, tokens, torch.arange(3))[1:2],
            alignment.match(short, tokens, torch.tensor([1])),
        ),
    ):
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_each_text_is_matched_with_the_image_named(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    rows = torch.tensor([2, 0, 2])
    together = alignment.match(texts, tokens, rows)
    for i, row in enumerate(rows.tolist()):
        one = texts.take(torch.tensor([i]))
        alone = alignment.match(one, tokens[row : row + 1], torch.tensor([0]))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)
    assert (together - alignment.match(texts, tokens, torch.tensor([1, 0, 2]))).abs().max() > 0.01


def test_cross_attention_is_the_decoders_where_it_fits() -> None:
    for memory_dim, fits in ((10, False), (12, True)):
        head = dataclasses.replace(HEAD, memory_dim=memory_dim)
        decoder = TextDecoder(TEXT, head)
        network = Alignment(AlignmentConfig(), TEXT, head, decoder).text_encoder
        for ours, theirs in zip(network.layers, decoder.bert.layers, strict=True):
            one, other = ours.crossattention, theirs.crossattention
            assert one.self.query is other.self.query
            assert one.output is other.output
            assert (one.self.key is other.self.key) is fits
            assert (one.self.value is other.self.value) is fits
            assert ours.attention is not theirs.attention
            assert ours.output is not theirs.output


@pytest.mark.parametrize(("start", "expected"), [(0.07, 0.07), (3.0, 0.5), (-1.0, 0.001)])
def test_the_temperature_is_held_in_its_limits_and_can_leave_them(
    alignment: Alignment, start: float, expected: float
) -> None:
    with torch.no_grad():
        alignment.temp.fill_(start)
    alignment.temperature.backward()
    assert alignment.temperature.item() == pytest.approx(expected, rel=1e-4)
    assert alignment.temp.grad is not None
    assert alignment.temp.grad.item() == 1


def test_the_given_pairs_come_first_and_negatives_after_them(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    found = alignment(texts, tokens, generator=torch.Generator().manual_seed(4))
    similarities = found.images @ found.texts.T / alignment.temperature
    drawn = hard_negatives(similarities, generator=torch.Generator().manual_seed(4))
    rows = torch.cat([torch.arange(3), drawn.images])
    names = torch.cat([torch.arange(3), drawn.texts])
    expected = alignment.match(texts.take(names), tokens, rows)
    torch.testing.assert_close(found.match_logits, expected)
    assert found.matches.tolist() == [1] * 3 + [0] * 6


def test_pairs_of_one_group_are_not_matched_as_negatives(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    found = alignment(texts, tokens, groups=torch.tensor([1, 1, 1]))
    assert found.matches.tolist() == [1, 1, 1]


def test_one_pair_has_no_negative_and_none_has_nothing(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    one = alignment(texts.take(torch.tensor([0])), tokens[:1])
    assert one.match_logits.shape == (1, 2)
    assert one.matches.tolist() == [1]
    none = alignment(texts.take(torch.tensor([], dtype=torch.long)), tokens[:0])
    assert none.images.shape == none.texts.shape == (0, 8)
    assert none.match_logits.shape == (0, 2)


def test_directions_are_float32_under_autocast(
    alignment: Alignment, texts: TextInputs, tokens: Tensor
) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = alignment(texts, tokens)
    assert found.images.dtype == found.texts.dtype == torch.float32
    torch.testing.assert_close(found.images.norm(dim=1), torch.ones(3))


def test_every_parameter_learns(alignment: Alignment, texts: TextInputs, tokens: Tensor) -> None:
    found = alignment.train()(texts, tokens)
    similarities = found.images @ found.texts.T / alignment.temperature
    (similarities.square().sum() + found.match_logits.square().sum()).backward()
    idle = {n for n, p in alignment.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == set()


def test_negatives_never_fit_and_come_in_proportion_to_their_softmax() -> None:
    similarities = torch.tensor([[9.0, 1.0, 0.0], [2.0, 9.0, -1.0], [0.5, 0.0, 9.0]])
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(2, 3, 3)
    for _ in range(3000):
        drawn = hard_negatives(similarities, generator=generator)
        assert drawn.images[:3].tolist() == drawn.texts[3:].tolist() == [0, 1, 2]
        for half in (0, 1):
            part = slice(3 * half, 3 * half + 3)
            counts[half].index_put_(
                (drawn.images[part], drawn.texts[part]), torch.tensor(1.0), accumulate=True
            )
    wrong = similarities.masked_fill(torch.eye(3, dtype=torch.bool), -torch.inf)
    assert counts[0].diagonal().eq(0).all()
    assert counts[1].diagonal().eq(0).all()
    torch.testing.assert_close(counts[0] / 3000, wrong.softmax(1), rtol=0, atol=0.03)
    torch.testing.assert_close(counts[1] / 3000, wrong.softmax(0), rtol=0, atol=0.03)


def test_negatives_are_those_of_their_generator() -> None:
    similarities = torch.zeros(20, 20)
    one, same, other = (
        hard_negatives(similarities, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.texts, same.texts)
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.texts, other.texts)


def test_pairs_of_one_group_are_no_negatives() -> None:
    groups = torch.tensor([7, 7, 3])
    similarities = torch.tensor([[0.0, 50.0, 0.0], [50.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for seed in range(10):
        drawn = hard_negatives(
            similarities, groups=groups, generator=torch.Generator().manual_seed(seed)
        )
        assert drawn.texts[:2].tolist() == drawn.images[3:5].tolist() == [2, 2]
    alike = hard_negatives(similarities, groups=torch.tensor([1, 1, 1]))
    assert len(alike.images) == len(alike.texts) == 0


@pytest.mark.parametrize("pairs", [0, 1])
def test_without_other_pairs_there_are_no_negatives(pairs: int) -> None:
    drawn = hard_negatives(torch.zeros(pairs, pairs))
    assert drawn.images.tolist() == drawn.texts.tolist() == []


def test_texts_are_cls_words_sep_and_padding(tokenizer: CaptionTokenizer) -> None:
    inputs = text_inputs(tokenizer, ["a dog", "a tennis court in a kitchen", ""])
    begin, end = tokenizer.ids["[CLS]"], tokenizer.sep_id
    rows = [row[real].tolist() for row, real in zip(inputs.ids, inputs.real, strict=True)]
    assert rows[0] == [begin, *tokenizer.encode("a dog"), end]
    assert rows[1] == [begin, *tokenizer.encode("a tennis court in a kitchen"), end]
    assert rows[2] == [begin, end]
    assert inputs.ids.shape[1] == len(rows[1])
    assert inputs.ids[~inputs.real].eq(tokenizer.pad_id).all()


def test_long_texts_are_cut_and_no_texts_are_no_rows(tokenizer: CaptionTokenizer) -> None:
    cut = text_inputs(tokenizer, ["a dog " * 50])
    assert cut.ids.shape == (1, 40)
    assert cut.ids[0, -1] == tokenizer.sep_id
    assert len(text_inputs(tokenizer, []).ids) == 0


def test_config_survives_json() -> None:
    config = AlignmentConfig(dim=8, temperature=0.1)
    written = json.loads(json.dumps(dataclasses.asdict(config)))
    assert AlignmentConfig.from_dict(written) == config
    assert AlignmentConfig.from_dict({}) == AlignmentConfig()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dims": 8}, "AlignmentConfig has no field dims"),
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"temperature": 0.6}, r"temperature must lie in \[0.001, 0.5\], got 0.6"),
    ],
)
def test_a_wrong_config_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AlignmentConfig.from_dict(values)
