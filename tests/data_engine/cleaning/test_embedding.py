from __future__ import annotations

import numpy as np
import pytest
import torch

from grounded_ram.data_engine.cleaning.embedding import Embedder, TaggerEmbedder
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
