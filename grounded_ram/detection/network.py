"""Grounding-DINO as a torch module of any size, in the layout of the official checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.detection.attention import FoldedBiAttention, FusedWindowAttention, PiecewiseMLP
from grounded_ram.detection.config import GroundingDINOConfig, SwinConfig
from grounded_ram.detection.deformable import SummedAttention
from grounded_ram.detection.text import PromptBatch, TextEncoder
from grounded_ram.detection.transformer import Decoder, Encoder, ImageFeatures, TextFeatures
from grounded_ram.errors import WeightsError
from grounded_ram.runtime import recast
from grounded_ram.weights import misfit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in transformer.py
    from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
    from groundingdino.models.GroundingDINO.backbone.position_encoding import (
        PositionEmbeddingSineHW,
    )
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import (
        Mlp,
        SwinTransformer,
        WindowAttention,
    )
    from groundingdino.models.GroundingDINO.fuse_modules import BiMultiHeadAttention
    from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention
    from groundingdino.models.GroundingDINO.utils import MLP
    from groundingdino.util.misc import NestedTensor

FASTER = {
    Mlp: PiecewiseMLP,
    WindowAttention: FusedWindowAttention,
    BiMultiHeadAttention: FoldedBiAttention,
    MultiScaleDeformableAttention: SummedAttention,
}
"""For layers of the module those that compute the same, sooner."""


@dataclass(frozen=True, eq=False)
class Grounding:
    """What one part of the network found: N boxes and how each token of the prompt fits them.

    Args:
        logits: (B, N, L), -inf on padding.
        boxes: (B, N, 4) cxcywh in [0, 1], relative to the image without its padding.
    """

    logits: Tensor
    boxes: Tensor


@dataclass(frozen=True, eq=False)
class AllLayers:
    """Everything a loss may look at.

    Args:
        layers: one ``Grounding`` of Q queries a decoder layer, the last one being the answer.
        proposals: the encoder's ``Grounding`` of all S cells, from which the queries were chosen.
        anchors: (B, S, 4) cxcywh in [0, 1], the box each cell starts from.
        usable: (B, S) bool, False on padding and where the anchor leaves the picture.
    """

    layers: tuple[Grounding, ...]
    proposals: Grounding
    anchors: Tensor
    usable: Tensor


class Transformer(nn.Module):
    """From image and text features to boxes."""

    def __init__(self, config: GroundingDINOConfig, box_heads: nn.ModuleList) -> None:
        super().__init__()
        width = config.hidden_dim
        self.num_queries = config.num_queries
        self.level_embed = nn.Parameter(torch.empty(config.num_feature_levels, width))
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, box_heads)
        self.tgt_embed = nn.Embedding(config.num_queries, width) if config.embed_init_tgt else None
        self.enc_output = nn.Linear(width, width)
        self.enc_output_norm = nn.LayerNorm(width)
        self.enc_out_bbox_embed = deepcopy(box_heads[0])
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for parameter in (*self.encoder.parameters(), *self.decoder.layers.parameters()):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.init_weights()
        nn.init.xavier_uniform_(self.enc_output.weight)
        nn.init.normal_(self.level_embed)

    def forward(self, image: ImageFeatures, text: TextFeatures) -> AllLayers:
        """Find the things of the prompts in the images."""
        pixels, words = self.encoder(image, text)
        image = ImageFeatures(pixels, image.position, image.padding, image.shapes, image.valid)
        text = TextFeatures(words, text.real, text.sees, text.positions)

        anchors = _anchors(image)
        usable = ((anchors > 0.01) & (anchors < 0.99)).all(-1) & ~image.padding
        cells = self.enc_output_norm(self.enc_output(pixels.masked_fill(~usable[..., None], 0)))
        logits = token_logits(cells, text)
        start = anchors.logit().masked_fill(~usable[..., None], torch.inf)
        boxes = (self.enc_out_bbox_embed(cells) + start).sigmoid()

        queries = min(self.num_queries, logits.shape[1])  # a sliver of an image has fewer cells
        best = logits.max(-1).values.topk(queries, dim=1).indices[..., None]
        chosen = boxes.gather(1, best.expand(-1, -1, 4)).detach()
        if self.tgt_embed is None:
            target = cells.gather(1, best.expand(-1, -1, cells.shape[-1])).detach()
        else:
            target = self.tgt_embed.weight[:queries].expand(len(logits), -1, -1)
        seen, found = self.decoder(target, chosen, image, text)
        layers = (Grounding(token_logits(q, text), b) for q, b in zip(seen, found, strict=True))
        return AllLayers(tuple(layers), Grounding(logits, boxes), anchors, usable)


class GroundingDINO(nn.Module):
    """The network; ``state_dict`` has the official keys.

    Args:
        config: the sizes.
    """

    def __init__(self, config: GroundingDINOConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_dim
        box_head = MLP(width, width, 4, 3)
        nn.init.zeros_(box_head.layers[-1].weight)
        nn.init.zeros_(box_head.layers[-1].bias)
        self.bbox_embed = nn.ModuleList([box_head] * config.dec_layers)  # one head, shared
        self.transformer = Transformer(config, self.bbox_embed)
        self.bert = TextEncoder(config.bert)
        self.feat_map = nn.Linear(config.bert.hidden_size, width)
        nn.init.xavier_uniform_(self.feat_map.weight)
        nn.init.zeros_(self.feat_map.bias)
        swin = build_swin(config.swin)
        channels = [config.swin.embed_dim * 2**stage for stage in config.swin.out_indices]
        position = PositionEmbeddingSineHW(
            width // 2, temperatureH=20, temperatureW=20, normalize=True
        )
        self.backbone = Joiner(swin, position)
        self.input_proj = _input_projections(channels, config)
        recast(self, FASTER)

    def image_features(self, pixels: Tensor, padding: Tensor | None = None) -> ImageFeatures:
        """Run the image backbone; its result serves any number of prompts.

        Args:
            pixels: (B, 3, H, W) normalised images.
            padding: (B, H, W) bool, True where an image was padded to H x W.
        """
        if padding is None:
            padding = torch.zeros_like(pixels[:, 0], dtype=torch.bool)
        levels, masks, positions = self._levels(pixels, padding)
        embeds = zip(positions, self.transformer.level_embed, strict=True)
        return ImageFeatures(
            tokens=torch.cat([level.flatten(2).mT for level in levels], 1),
            position=torch.cat([p.flatten(2).mT + embed for p, embed in embeds], 1),
            padding=torch.cat([mask.flatten(1) for mask in masks], 1),
            shapes=tuple((level.shape[-2], level.shape[-1]) for level in levels),
            valid=torch.stack([_valid_part(mask) for mask in masks], 1),
        )

    def _levels(
        self, pixels: Tensor, padding: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return each level's features, padding mask and position embedding, as maps."""
        stages, positions = self.backbone(NestedTensor(pixels, padding))
        levels, masks = [], [stage.mask for stage in stages]
        for index, project in enumerate(self.input_proj):
            if index < len(stages):
                levels.append(project(stages[index].tensors))
                continue
            levels.append(project(stages[-1].tensors if index == len(stages) else levels[-1]))
            size = levels[-1].shape[-2:]
            masks.append(functional.interpolate(padding[None].float(), size=size)[0].bool())
            positions.append(self.backbone[1](NestedTensor(levels[-1], masks[-1])))
        return levels, masks, positions

    def text_features(self, prompts: PromptBatch) -> TextFeatures:
        """Run the text encoder."""
        tokens = self.feat_map(self.bert(prompts))
        return TextFeatures(tokens, prompts.real, prompts.sees, prompts.positions)

    def ground(self, image: ImageFeatures, prompts: PromptBatch) -> AllLayers:
        """Find the things of B prompts in B images whose features are at hand."""
        return self.ground_text(image, self.text_features(prompts))

    def ground_text(self, image: ImageFeatures, text: TextFeatures) -> AllLayers:
        """Find the things of B prompts whose features, too, are at hand."""
        found: AllLayers = self.transformer(image, text)
        return found

    def forward_all_layers(
        self, pixels: Tensor, prompts: PromptBatch, padding: Tensor | None = None
    ) -> AllLayers:
        """Return what every layer found, for training; arguments as for ``image_features``."""
        return self.ground(self.image_features(pixels, padding), prompts)

    def forward(
        self, pixels: Tensor, prompts: PromptBatch, padding: Tensor | None = None
    ) -> Grounding:
        """Return what the last layer found; arguments as for ``image_features``."""
        return self.forward_all_layers(pixels, prompts, padding).layers[-1]


def token_logits(features: Tensor, text: TextFeatures) -> Tensor:
    """Compare (B, N, C) features with the text tokens: (B, N, L) logits, -inf on padding.

    Always in float32: under bfloat16 autocast the products would have three digits.
    """
    with torch.autocast(features.device.type, enabled=False):
        products = features.float() @ text.tokens.float().mT
    return products.masked_fill(~text.real[:, None], -torch.inf)


def load_weights(network: GroundingDINO, weights: Mapping[str, Tensor]) -> None:
    """Load a state dict in the official layout, strictly.

    Files may hold two tensors without a use, and the box head, which all layers share, once or
    under each of its names.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape.
    """
    unused = {"label_enc.weight", "bert.embeddings.position_ids"}
    found = {k: v for k, v in weights.items() if k not in unused}
    expected = network.state_dict()
    for key in expected.keys() - found.keys():
        name = key.removeprefix("transformer.decoder.")
        if name.startswith("bbox_embed."):
            source = "bbox_embed.0." + name.split(".", 2)[2]
            if source in found:
                found[key] = found[source]
    if problems := misfit(expected, found):
        raise WeightsError(f"these weights are of another Grounding-DINO: {problems}")
    network.load_state_dict(found, assign=True)  # the file's own memory: no second copy


def build_swin(config: SwinConfig) -> nn.Module:
    """Make the module's image backbone, its layers as published."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.meshgrid without indexing
        swin: nn.Module = SwinTransformer(
            patch_size=config.patch_size,
            embed_dim=config.embed_dim,
            depths=list(config.depths),
            num_heads=list(config.num_heads),
            window_size=config.window_size,
            out_indices=config.out_indices,
            drop_path_rate=config.drop_path,
        )
    return swin


def _input_projections(channels: list[int], config: GroundingDINOConfig) -> nn.ModuleList:
    """Bring each Swin stage to the common width, and make the levels beyond by halving."""
    width, further = config.hidden_dim, config.num_feature_levels - len(channels)
    convolutions = [nn.Conv2d(c, width, 1) for c in channels]
    for index in range(further):
        incoming = width if index else channels[-1]
        convolutions.append(nn.Conv2d(incoming, width, 3, stride=2, padding=1))
    for convolution in convolutions:
        nn.init.xavier_uniform_(convolution.weight)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.ModuleList(nn.Sequential(c, nn.GroupNorm(32, width)) for c in convolutions)


def _valid_part(padding: Tensor) -> Tensor:
    """Return (B, 2) the part of the width and of the height that is not padding."""
    width, height = (~padding[:, 0]).float().mean(1), (~padding[:, :, 0]).float().mean(1)
    return torch.stack([width, height], -1)


def _anchors(image: ImageFeatures) -> Tensor:
    """Return (B, S, 4) a box on each cell's centre, .05 of the picture wide, twice that a level."""
    sides = [
        image.valid.new_full((h * w,), 0.05 * 2**level) for level, (h, w) in enumerate(image.shapes)
    ]
    side = torch.cat(sides)[None, :, None].expand(len(image.valid), -1, 2)
    return torch.cat([image.centers(), side], -1)
