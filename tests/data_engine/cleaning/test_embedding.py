from __future__ import annotations

import numpy as np
import pytest
import torch

from grounded_ram.data_engine.cleaning.embedding import Embedder, Seer, TaggerEmbedder
from grounded_ram.errors import InputError
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from grounded_ram.tagging.ram import RAMTagger, prepare


@pytest.fixture(scope="module")
def tagger() -> RAMTagger:
    found = GroundedRAM("tiny", device="cpu").tagger
    assert isinstance(found, RAMTagger)
    return found


def test_it_gives_the_class_token_of_the_encoder(tagger: RAMTagger) -> None:
    images = [make_scene(1, size=96).image, make_scene(2, size=128).image]
    found = TaggerEmbedder(tagger).embed(images)
    batch = torch.stack([prepare(image, tagger.image_size) for image in images])
    with torch.inference_mode():
        last = tagger.network.visual_encoder(batch).tokens[:, 1:].mean(1)
    np.testing.assert_allclose(found, last.numpy(), rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


def test_of_no_pictures_there_are_no_rows_of_the_usual_width(tagger: RAMTagger) -> None:
    embedder = TaggerEmbedder(tagger)
    assert isinstance(embedder, Embedder)
    assert embedder.embed([]).shape == (0, tagger.network.config.out_dim)


def test_a_tagger_without_an_image_encoder_is_refused() -> None:
    with pytest.raises(InputError, match="RAM family"):
        TaggerEmbedder(object())


def test_what_is_seen_in_one_pass_is_what_two_passes_see(tagger: RAMTagger) -> None:
    images = [make_scene(seed, size=96).image for seed in range(3)]
    embedder = TaggerEmbedder(tagger)
    assert isinstance(embedder, Seer)
    passes: list[int] = []
    hook = tagger.network.visual_encoder.register_forward_hook(lambda *a: passes.append(1))
    tags, embeddings = embedder.see(images)
    hook.remove()
    assert len(passes) == len(images)
    np.testing.assert_array_equal(embeddings, embedder.embed(images))
    for one, other in zip(tags, tagger.tag(images, threshold=0.0), strict=True):
        assert one.names == other.names
        np.testing.assert_array_equal(one.scores, other.scores)
    assert not tagger.network.visual_encoder._forward_hooks


def test_no_pictures_are_seen_as_nothing(tagger: RAMTagger) -> None:
    tags, embeddings = TaggerEmbedder(tagger).see([])
    assert tags == []
    assert embeddings.shape == (0, tagger.network.config.out_dim)


def test_where_memory_is_short_each_picture_still_has_its_own_embedding(
    tagger: RAMTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [make_scene(seed, size=96).image for seed in range(4)]
    decode = tagger.network.decode

    def short(image_tokens: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        if len(image_tokens) > 2:
            raise RuntimeError("out of memory")
        return decode(image_tokens, queries)

    monkeypatch.setattr(tagger.network, "decode", short)
    monkeypatch.setattr(tagger, "batch_size", 4)
    _, embeddings = TaggerEmbedder(tagger).see(images)
    assert tagger.batch_size == 2
    monkeypatch.setattr(tagger, "batch_size", 1)
    np.testing.assert_allclose(embeddings, TaggerEmbedder(tagger).embed(images), atol=1e-5)
