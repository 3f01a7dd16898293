from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial

import pytest
import torch

from grounded_ram.detection.grounding_dino import _encode
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.text import PromptBatch, PromptTokenizer
from grounded_ram.detection.text_cache import TextCache

TEXTS = ("dog . fire hydrant . person on a skateboard . dog .", "train .", "a fire . train .")


@pytest.fixture
def batch(tokenizer: PromptTokenizer) -> Callable[..., PromptBatch]:
    def of(*texts: str) -> PromptBatch:
        rows = [[tokenizer.cls_id, *tokenizer.encode(t), tokenizer.sep_id] for t in texts]
        return tokenizer.batch(rows)

    return of


@pytest.fixture
def empty(network: GroundingDINO, tokenizer: PromptTokenizer) -> Callable[..., TextCache]:
    """Make a cache of the golden network that has kept nothing so far."""
    return partial(TextCache, partial(_encode, network, tokenizer))


@contextmanager
def encoded(network: GroundingDINO) -> Iterator[list[tuple[int, ...]]]:
    """List the blocks that go through the text encoder."""
    seen: list[tuple[int, ...]] = []
    hook = network.bert.register_forward_pre_hook(
        lambda _, inputs: seen.append(tuple(inputs[0].ids[0].tolist()))
    )
    try:
        yield seen
    finally:
        hook.remove()


def test_blocks_make_the_features_of_whole_prompts_and_zeros_of_padding(
    network: GroundingDINO,
    batch: Callable[..., PromptBatch],
    empty: Callable[..., TextCache],
) -> None:
    prompts = batch(*TEXTS)
    with torch.inference_mode():
        whole = network.text_features(prompts).tokens
    features = empty().features(prompts)
    assert features.shape == whole.shape == (3, 16, 256)
    assert prompts.real.sum(1).tolist() == [16, 4, 7]
    rounding = 1e-6 * whole.abs().max().item()
    torch.testing.assert_close(features[prompts.real], whole[prompts.real], rtol=0, atol=rounding)
    assert not features[~prompts.real].any()


def test_what_was_asked_before_and_beside_changes_no_bit(
    batch: Callable[..., PromptBatch], empty: Callable[..., TextCache]
) -> None:
    cache = empty()
    together = cache.features(batch(*TEXTS))
    again = cache.features(batch(*TEXTS))
    assert torch.equal(together, again)
    for row, text in enumerate(TEXTS):
        (alone,) = empty().features(batch(text))
        assert torch.equal(together[row, : len(alone)], alone)
    (dog,) = empty().features(batch("dog ."))
    assert torch.equal(together[0, 13:], dog[1:])


def test_where_the_weights_lie_in_memory_changes_no_bit(
    network: GroundingDINO,
    tokenizer: PromptTokenizer,
    batch: Callable[..., PromptBatch],
    empty: Callable[..., TextCache],
) -> None:
    moved = deepcopy(network)
    for parameter in moved.parameters():
        room = torch.empty(parameter.numel() + 1)[1:].view_as(parameter)
        parameter.data = room.copy_(parameter.data)
    features = TextCache(partial(_encode, moved, tokenizer)).features(batch(*TEXTS))
    assert torch.equal(features, empty().features(batch(*TEXTS)))


def test_each_block_is_encoded_once(
    network: GroundingDINO,
    batch: Callable[..., PromptBatch],
    empty: Callable[..., TextCache],
) -> None:
    cache = empty()
    with encoded(network) as blocks:
        for text in (*TEXTS, *TEXTS):
            cache.features(batch(text))
        cache.features(batch(*TEXTS))
    assert len(blocks) == len(set(blocks)) == 7  # [CLS], [SEP], and five tags


def test_the_blocks_asked_for_last_are_kept(
    network: GroundingDINO,
    batch: Callable[..., PromptBatch],
    empty: Callable[..., TextCache],
) -> None:
    cache = empty(3)
    first = cache.features(batch("dog ."))
    with encoded(network) as blocks:
        cache.features(batch("dog ."))
        assert not blocks
        cache.features(batch("train ."))
        again = cache.features(batch("dog ."))
    assert len(blocks) > 1
    assert torch.equal(first, again)


@pytest.mark.parametrize("copied", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_starts_empty_and_is_of_the_copied_network(
    copied: Callable[[object], tuple[GroundingDINO, TextCache]],
    network: GroundingDINO,
    batch: Callable[..., PromptBatch],
    empty: Callable[..., TextCache],
) -> None:
    cache = empty(2)
    features = cache.features(batch("dog ."))
    other, copy = copied((network, cache))
    with encoded(network) as blocks, encoded(other) as blocks_of_copy:
        assert torch.equal(copy.features(batch("dog .")), features)
    assert (len(blocks), len(blocks_of_copy)) == (0, 3)
    other.feat_map.bias.data += 1
    assert not torch.equal(copy.features(batch("dog .")), features)
    with encoded(other) as blocks_of_copy:
        copy.features(batch("dog ."))
    assert len(blocks_of_copy) == 3  # so the limit went with it: two are kept, three are asked for


def test_features_have_no_gradients_and_the_type_of_autocast(
    network: GroundingDINO,
    tokenizer: PromptTokenizer,
    batch: Callable[..., PromptBatch],
) -> None:
    learning = deepcopy(network).requires_grad_()
    cache = TextCache(partial(_encode, learning, tokenizer))
    with torch.autocast("cpu", torch.bfloat16):
        features = cache.features(batch("dog ."))
        whole = learning.text_features(batch("dog .")).tokens
    assert features.dtype == whole.dtype == torch.bfloat16
    assert not features.requires_grad
    torch.testing.assert_close(features, whole, rtol=0.02, atol=0.02)


def test_features_may_be_written_to(
    batch: Callable[..., PromptBatch], empty: Callable[..., TextCache]
) -> None:
    cache = empty()
    with torch.inference_mode():
        features = cache.features(batch("dog ."))
        before = features.tolist()
        features.zero_()
    assert cache.features(batch("dog .")).tolist() == before
