"""Images as the networks of ``transformers`` want them: their size, and their pixels' spread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2.functional import resize

from grounded_ram.errors import WeightsError
from grounded_ram.images import Image
from grounded_ram.runtime import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class Pixels:
    """What a network's training images were normalised with.

    Args:
        mean: Mean of red, green and blue, where 1 is white.
        std: Their standard deviation.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn (..., 3, h, w) uint8 pixels into float32 of zero mean and unit spread."""
        mean, std = (
            torch.tensor(values, device=pixels.device)[:, None, None] * 255
            for values in (self.mean, self.std)
        )
        return (pixels.float() - mean) / std


IMAGENET = Pixels(IMAGENET_MEAN, IMAGENET_STD)


def read_pixels(files: Mapping[str, Path], usual: Pixels) -> Pixels:
    """Return what a checkpoint's preprocessor_config.json says, or the usual if it has none.

    Args:
        files: The paths of a checkpoint's roles; "preprocessor" may be among them.
        usual: What holds for what the file leaves unsaid.

    Raises:
        WeightsError: The file is not a preprocessor's config.
    """
    if "preprocessor" not in files:
        return usual
    try:
        facts = json.loads(files["preprocessor"].read_text(encoding="utf-8"))
        facts = facts.get("image_processor", facts)  # a processor_config.json holds it inside
        mean, std = (
            np.broadcast_to(np.asarray(facts.get(key) or values, float), 3).tolist()
            for key, values in (("image_mean", usual.mean), ("image_std", usual.std))
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{files['preprocessor']}: expected the config of an image processor, got {error!r}"
        ) from error
    return Pixels(tuple(mean), tuple(std))


def to_square(image: Image, side: int) -> torch.Tensor:
    """Bring an image into a (3, side, side) uint8 square, whatever its shape, antialiased."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    square: torch.Tensor = resize(pixels, [side, side], antialias=True)
    return square
