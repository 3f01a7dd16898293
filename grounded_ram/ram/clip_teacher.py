"""CLIP as a teacher: what its two encoders make of pictures and texts, for RAM to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.runtime import IMAGENET_MEAN, IMAGENET_STD, normalised


class Teacher(Protocol):
    """Embeds pictures and texts in one space, in which the tags of a network lie, too."""

    @property
    def dim(self) -> int:
        """The numbers of an embedding."""
        ...

    def images(self, images: Tensor) -> Tensor:
        """Return (B, dim) float32 features, not normalised, without gradients.

        Args:
            images: (B, 3, S, S) of any size S, normalised as for the network that learns.
        """
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return (B, dim) float32 features of unit length, without gradients."""
        ...


class CLIPTeacher:
    """CLIP by open_clip, with which RAM was distilled (Zhang et al., 2023, section 3.4).

    Args:
        labels: which model and weights; the device is its own.

    Raises:
        WeightsError: the weights are absent or do not fit the model.
    """

    def __init__(self, labels: CLIPLabels) -> None:
        self.device, self.dim = labels.device, labels.dim
        self._tokenizer, network = labels.model_and_tokenizer()
        self._network: Any = network.to(self.device).eval().requires_grad_(False)

    @torch.no_grad()
    def images(self, images: Tensor) -> Tensor:
        """Return (B, dim) features of pictures normalised as ImageNet's; see ``Teacher``."""
        from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        size = self._network.visual.image_size
        height, width = (size, size) if isinstance(size, int) else size
        resized = functional.interpolate(
            images.float(), (height, width), mode="bicubic", antialias=True, align_corners=False
        )
        seen = resized * _column(IMAGENET_STD, images) + _column(IMAGENET_MEAN, images)
        scaled = normalised(seen, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
        with torch.autocast(self.device.type, enabled=False):
            out: Tensor = self._network.encode_image(scaled.to(self.device))
        return out.to(images.device)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return (B, dim) features of unit length; what is longer than 77 tokens is cut."""
        if not texts:
            return torch.zeros(0, self.dim, device=self.device)
        with torch.autocast(self.device.type, enabled=False):
            found = self._network.encode_text(self._tokenizer(list(texts)).to(self.device))
        return functional.normalize(found.float(), dim=-1)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(3, 1, 1)
