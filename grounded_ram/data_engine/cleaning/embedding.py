"""Pictures -> embeddings: numbers that are alike where pictures look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
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


@runtime_checkable
class Seer(Embedder, Protocol):
    """An embedder that says, too, what it sees in pictures, and does both in one pass."""

    def look(self, images: list[Image]) -> list[Tags]:
        """Say of each picture how sure it is of every tag, the surest first."""
        ...

    def see(self, images: list[Image]) -> tuple[list[Tags], NDArray[np.floating[Any]]]:
        """Return what ``look`` and ``embed`` return, of one pass."""
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
        return self._stacked(in_batches(self._tagger, images, self._tokens))

    def look(self, images: list[Image]) -> list[Tags]:
        """Say of each picture how sure the tagger is of every tag, the surest first."""
        return self._tagger.tag(images, threshold=0.0)

    def see(self, images: list[Image]) -> tuple[list[Tags], NDArray[np.floating[Any]]]:
        """Return what ``look`` and ``embed`` return; the encoder looks at each picture once."""
        tagger = self._tagger
        found = in_batches(tagger, images, self._scores_and_tokens)
        tags = [tagger.table.above(scores, 0.0) for scores, _ in found]
        return tags, self._stacked([tokens for _, tokens in found])

    def _stacked(self, found: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        width: int = self._tagger.network.config.out_dim
        return np.array(found, np.float32).reshape(len(found), width)

    @torch.inference_mode()
    def _tokens(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        with autocast(self._tagger.device, self._tagger.dtype):
            tokens = self._tagger.network.visual_encoder(self._prepared(images))
        return [*_class_tokens(tokens.tokens)]

    @torch.inference_mode()
    def _scores_and_tokens(
        self, images: Sequence[Image]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        tagger, kept = self._tagger, list[NDArray[np.float32]]()
        # What lies between the encoder and the scores is each network's own affair.
        hook = tagger.network.visual_encoder.register_forward_hook(
            lambda module, given, out: kept.append(_class_tokens(out.tokens))
        )
        try:
            with autocast(tagger.device, tagger.dtype):
                logits = tagger.logits(self._prepared(images))
        finally:
            hook.remove()
        return list(zip(logits.float().sigmoid().cpu().numpy(), kept[0], strict=True))

    def _prepared(self, images: Sequence[Image]) -> torch.Tensor:
        batch = torch.stack([prepare(image, self._tagger.image_size) for image in images])
        return to_device(batch, self._tagger.device)


def _class_tokens(tokens: torch.Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tokens[:, 0].float().cpu().numpy()
    return found
