"""The image encoder: a Swin Transformer put together from timm's blocks.

timm merges patches at the start of a stage, the official RAM code at its end, so timm's whole model
would need its keys renamed. Its parts do not: ``patch_embed``, ``layers.I.blocks.J``,
``layers.I.downsample`` and ``norm`` below are the official names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock, WindowAttention
from torch import Tensor, nn

from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class SwinConfig:
    """Sizes of the image encoder; the defaults are Swin-L at 384 pixels.

    Raises:
        InputError: the sizes contradict each other.
    """

    image_size: int = 384
    """Height and width of the input, in pixels."""
    patch_size: int = 4
    """Height and width of a patch, in pixels: the stride of the first stage."""
    window: int = 12
    """Height and width of an attention window, in cells; a smaller map is one window."""
    embed_dim: int = 192
    """Channels of the first stage; each further stage has twice as many."""
    depths: tuple[int, ...] = (2, 2, 18, 2)
    """Blocks of each stage."""
    heads: tuple[int, ...] = (6, 12, 24, 48)
    """Attention heads of each stage."""
    drop_path: float = 0.1
    """In training: chance of leaving out the last block; it grows from 0 at the first."""

    def __post_init__(self) -> None:
        if not self.depths or len(self.depths) != len(self.heads):
            raise InputError(f"expected as many heads as depths, got {self.heads}, {self.depths}")
        stride = self.patch_size * 2 ** (len(self.depths) - 1)
        if self.image_size % stride:
            raise InputError(f"image_size must be a multiple of {stride}, got {self.image_size}")
        for i, heads in enumerate(self.heads):
            if self.stage_dim(i) % heads:
                raise InputError(f"{self.stage_dim(i)} channels cannot be split over {heads} heads")

    @property
    def out_dim(self) -> int:
        """Channels of the last stage, which are those of the tokens."""
        return self.stage_dim(len(self.depths) - 1)

    def stage_dim(self, stage: int) -> int:
        """Return the channels of a stage, counted from 0."""
        return self.embed_dim * int(2**stage)

    def stage_side(self, stage: int) -> int:
        """Return the height and width, in cells, of a stage's map."""
        return self.image_size // self.patch_size // int(2**stage)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the fields from JSON values, lists standing for tuples.

        Raises:
            InputError: a key is not a field.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise InputError(f"{cls.__name__} has no field {', '.join(unknown)}")
        read: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**read)


class SwinFeatures(NamedTuple):
    """What the encoder made of B images."""

    tokens: Tensor
    """(B, 1 + N, C): the mean token first, then the N cells of the last stage, row by row."""
    maps: list[Tensor]
    """One (B, C, H, W) map a stage, before it is downsampled; not normalised."""


class SwinStage(nn.Module):
    """The blocks of one stage, every other one with shifted windows, and the merge after them."""

    def __init__(self, config: SwinConfig, stage: int, drop_path: list[float]) -> None:
        super().__init__()
        dim, side = config.stage_dim(stage), config.stage_side(stage)
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlock(
                    dim,
                    (side, side),
                    num_heads=config.heads[stage],
                    window_size=config.window,
                    shift_size=config.window // 2 if i % 2 else 0,
                    drop_path=rate,
                )
                for i, rate in enumerate(drop_path)
            )
        )
        for module in self.blocks.modules():
            if isinstance(module, WindowAttention):
                module.fused_attn = True  # timm leaves it off unless asked for
        last = stage == len(config.depths) - 1
        self.downsample = None if last else PatchMerging(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stage's (B, H, W, C) map and the input of the next stage."""
        x = self.blocks(x)
        return x, x if self.downsample is None else self.downsample(x)


class SwinEncoder(nn.Module):
    """Swin Transformer without a classifier; official keys ``visual_encoder.*``."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(
            config.image_size,
            config.patch_size,
            embed_dim=config.embed_dim,
            norm_layer=nn.LayerNorm,
            output_fmt="NHWC",
        )
        blocks = sum(config.depths)
        rates = [config.drop_path * i / max(1, blocks - 1) for i in range(blocks)]
        starts = [sum(config.depths[:i]) for i in range(len(config.depths))]
        self.layers = nn.ModuleList(
            SwinStage(config, i, rates[start : start + depth])
            for i, (start, depth) in enumerate(zip(starts, config.depths, strict=True))
        )
        self.norm = nn.LayerNorm(config.out_dim)
        self.apply(_init_linear)

    def forward(self, images: Tensor) -> SwinFeatures:
        """Encode (B, 3, S, S) normalised images, S being the configured size.

        Raises:
            InputError: the images have another size.
        """
        side = self.config.image_size
        if images.shape[1:] != (3, side, side):
            raise InputError(f"expected images (B, 3, {side}, {side}), got {tuple(images.shape)}")
        x: Tensor = self.patch_embed(images)
        maps: list[Tensor] = []
        for layer in self.layers:
            stage_map, x = layer(x)
            maps.append(stage_map.permute(0, 3, 1, 2))
        cells = self.norm(x).flatten(1, 2)
        return SwinFeatures(torch.cat([cells.mean(1, keepdim=True), cells], dim=1), maps)


def _init_linear(module: nn.Module) -> None:
    """Give linear layers the start that Swin is trained from."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
