"""Pictures -> embeddings: numbers that are alike where pictures look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.runtime import autocast, in_batches, to_device
from grounded_ram.tagging.ram import TableTagger, prepare


@runtime_checkable
class Embedder(Protocol):
    """Says by numbers how pictures look."""

    def embed(self, images: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Return the (N, D) embeddings of N pictures of any sizes; N may be 0."""
        ...


class TaggerEmbedder:
    """The image encoder of a tagger, so that nothing else need be downloaded.

    An embedding is the encoder's class token, as it is before it is projected for the tagger's
    head: on drawn scenes the projected one was nowhere better at finding wrong labels.

    Args:
        tagger: any of the RAM family.

    Raises:
        InputError: it is none of them.
    """

    def __init__(self, tagger: object) -> None:
        if not isinstance(tagger, TableTagger):
            raise InputError(
                f"expected a tagger of the RAM family, whose image encoder can embed pictures; got "
                f"{type(tagger).__name__}. Give an embedder: an object with embed(images)"
            )
        self._tagger = tagger

    def embed(self, images: Sequence[Image]) -> NDArray[np.floating[Any]]:
        """Return the (N, C) float32 class tokens of N pictures."""
        found = in_batches(self._tagger, images, self._tokens)
        width: int = self._tagger.network.config.out_dim
        return np.array(found, np.float32).reshape(len(images), width)

    @torch.inference_mode()
    def _tokens(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        tagger = self._tagger
        prepared = [prepare(image, tagger.image_size) for image in images]
        with autocast(tagger.device, tagger.dtype):
            tokens = tagger.network.visual_encoder(to_device(torch.stack(prepared), tagger.device))
        return [*tokens.tokens[:, 0].float().cpu().numpy()]
