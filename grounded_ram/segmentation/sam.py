"""SAM: masks for boxes, with the networks of ``segment_anything`` at any size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import Image
from grounded_ram.runtime import autocast, recast, resize
from grounded_ram.segmentation.attention import FASTER
from grounded_ram.segmentation.boxes import BoxSegmenter, EmbeddedImage, scale_boxes
from grounded_ram.segmentation.upscaling import Step
from grounded_ram.weights import Checkpoint, fetch, load_state_dict, misfit


@dataclass(frozen=True, kw_only=True)
class SAMConfig:
    """Sizes of one SAM; the defaults are those of the released ViT-B.

    Raises:
        InputError: The sizes do not fit together.
    """

    image_size: int = 1024
    """Side of the square, in pixels, into which an image is fitted and padded."""
    patch_size: int = 16
    encoder_width: int = 768
    encoder_depth: int = 12
    encoder_heads: int = 12
    encoder_mlp_ratio: float = 4.0
    window_size: int = 14
    """Side of an attention window in patches; 0 lets every block see the whole image."""
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    """The blocks, counted from 0, that see the whole image in spite of the window."""
    prompt_width: int = 256
    """Channels of the image embedding, the prompts and the decoder."""
    mask_prompt_width: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp: int = 2048
    multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_width: int = 256
    pixel_mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, ...] = (58.395, 57.12, 57.375)

    def __post_init__(self) -> None:
        for size, divisor, what in (
            (self.image_size, self.patch_size, "image_size by patch_size"),
            (self.encoder_width, self.encoder_heads, "encoder_width by encoder_heads"),
            (self.prompt_width, 2 * self.decoder_heads, "prompt_width by 2 * decoder_heads"),
            (self.prompt_width, 8, "prompt_width by 8"),
            (self.mask_prompt_width, 4, "mask_prompt_width by 4"),
        ):
            if divisor < 1 or size < 1 or size % divisor:
                raise InputError(f"SAM: expected to divide {what}, got {size} by {divisor}")
        if not all(0 <= block < self.encoder_depth for block in self.global_blocks):
            raise InputError(
                f"SAM: expected global_blocks in 0..{self.encoder_depth - 1}, "
                f"got {self.global_blocks}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SAMConfig:
        """Make a config from JSON's types; fields left out keep their defaults.

        Raises:
            InputError: A field is not known, or the sizes do not fit together.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise InputError(f"SAM: unknown fields {', '.join(unknown)}; known: {', '.join(known)}")
        typed: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**typed)


def build_sam(config: SAMConfig) -> Sam:
    """Make the network with fresh weights and the released models' keys, in eval mode."""
    grid = config.image_size // config.patch_size
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.encoder_width,
        depth=config.encoder_depth,
        num_heads=config.encoder_heads,
        mlp_ratio=config.encoder_mlp_ratio,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        qkv_bias=True,
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_blocks,
        out_chans=config.prompt_width,
    )
    prompts = PromptEncoder(
        embed_dim=config.prompt_width,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_prompt_width,
    )
    decoder = MaskDecoder(
        num_multimask_outputs=config.multimask_outputs,
        transformer=TwoWayTransformer(
            depth=config.decoder_depth,
            embedding_dim=config.prompt_width,
            mlp_dim=config.decoder_mlp,
            num_heads=config.decoder_heads,
        ),
        transformer_dim=config.prompt_width,
        iou_head_depth=config.iou_head_depth,
        iou_head_hidden_dim=config.iou_head_width,
    )
    mean, std = list(config.pixel_mean), list(config.pixel_std)
    model = Sam(encoder, prompts, decoder, pixel_mean=mean, pixel_std=std).eval()
    recast(model, FASTER)
    return model


def fitted_hw(size_hw: tuple[int, int], image_size: int) -> tuple[int, int]:
    """Size of an image after its longer side was brought to ``image_size``."""
    scale = image_size / max(size_hw)
    return max(1, int(size_hw[0] * scale + 0.5)), max(1, int(size_hw[1] * scale + 0.5))


def resize_image(image: Image, image_size: int) -> Image:
    """Bring the longer side to ``image_size``; see ``runtime.resize``."""
    return resize(image, fitted_hw(image.shape[:2], image_size))


class SAMSegmenter(BoxSegmenter[Sam, torch.Tensor]):
    """A ``Segmenter`` that gives SAM one box a mask; see ``BoxSegmenter`` for its arguments."""

    def compile(self) -> None:
        """Let torch compile the image encoder on a GPU, when it is first used.

        On a CPU it is left as it is: that takes minutes and gains nothing.
        """
        if self._device.type != "cpu":
            self.model.image_encoder.compile()

    @torch.inference_mode()
    def embed(self, images: Sequence[Image]) -> list[EmbeddedImage[torch.Tensor]]:
        """Run the image encoder over B images together."""
        if not images:
            return []
        resized = [resize_image(image, self.model.image_encoder.img_size) for image in images]
        tensors = [torch.from_numpy(one).to(self._device).permute(2, 0, 1) for one in resized]
        batch = torch.stack([self.model.preprocess(tensor.float()) for tensor in tensors])
        with autocast(self._device, self._dtype):
            features = self.model.image_encoder(batch).float()
        return [
            EmbeddedImage(features[i : i + 1], image.shape[:2], resized[i].shape[:2])
            for i, image in enumerate(images)
        ]

    @torch.inference_mode()
    def decode(
        self, image: EmbeddedImage[torch.Tensor], boxes_xyxy: NDArray[np.number]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give N boxes (in the image's pixels) their masks.

        Returns:
            (N, 1, 4h, 4w) mask logits over the padded square, and (N, 1) estimates of their IoU.
        """
        scaled = scale_boxes(boxes_xyxy, image.size_hw, image.input_hw)
        sparse, dense = self.model.prompt_encoder(
            points=None, boxes=torch.from_numpy(scaled).to(self._device), masks=None
        )
        logits, iou = self.model.mask_decoder(
            image_embeddings=image.features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return logits, iou

    def steps(self, image: EmbeddedImage[torch.Tensor]) -> tuple[Step, ...]:
        """Return the resizings that lead from mask logits to the image."""
        side = self.model.image_encoder.img_size
        return Step((side, side), image.input_hw), Step(image.size_hw)


def open_sam(
    config: Path, weights: Path, *, device: torch.device, dtype: torch.dtype
) -> SAMSegmenter:
    """Load a segmenter from a config JSON and a checkpoint with the released models' keys.

    Raises:
        WeightsError: One of the two cannot be read, or they do not fit each other.
    """
    try:
        sizes = SAMConfig.from_dict(json.loads(config.read_text(encoding="utf-8"))["model"])
        with torch.device("meta"):  # all weights come from the file: draw none
            model = build_sam(sizes)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{config}: expected a SAM config, got {error!r}") from error
    fill(model, sizes, load_state_dict(weights), source=str(weights))
    return SAMSegmenter(model, device=device, dtype=dtype)


def fill(model: Sam, config: SAMConfig, state: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Give a model that was made on the meta device all of its numbers.

    Raises:
        WeightsError: A key is missing, not known, or of another shape.
    """
    load_weights(model, state, source)
    model.pixel_mean = torch.tensor(config.pixel_mean).view(-1, 1, 1)  # in no checkpoint
    model.pixel_std = torch.tensor(config.pixel_std).view(-1, 1, 1)


def load_weights(model: Sam, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Put a state dict into the model, which may be on the meta device.

    Raises:
        WeightsError: A key is missing, not known, or of another shape.
    """
    if problems := misfit(model.state_dict(), state):
        raise WeightsError(f"{source}: these weights are of another SAM: {problems}")
    model.load_state_dict(dict(state), assign=True)


def load_sam(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> SAMSegmenter:
    """Make the segmenter of a checkpoint: the factory behind every ``sam:...`` name."""
    files = fetch(checkpoint)
    return open_sam(files["config"], files["weights"], device=device, dtype=dtype)
