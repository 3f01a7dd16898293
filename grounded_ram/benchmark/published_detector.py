"""Grounding-DINO as the ``groundingdino`` module has it: its class, its layers, its forward.

The class is put together from sizes instead of a config file's name, so that any size will do, and
given its tokenizer and its text encoder instead of fetching them: the module's own wrapper around
BERT does not work with newer versions of ``transformers``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

import transformers
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from torch import Tensor, nn

from grounded_ram.detection.config import BertConfig, GroundingDINOConfig, SwinConfig
from grounded_ram.detection.network import build_swin, load_weights
from grounded_ram.detection.text import PromptBatch, TextEncoder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by an old name, and has unescaped backslashes
    from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
    from groundingdino.models.GroundingDINO.backbone.position_encoding import (
        PositionEmbeddingSineHW,
    )
    from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
    from groundingdino.models.GroundingDINO.transformer import Transformer
    from groundingdino.models.GroundingDINO.utils import get_sine_pos_embed

_USUAL_WIDTH = 256
"""The width of the transformer that the module takes for granted."""


def build_published(
    config: GroundingDINOConfig, weights: Mapping[str, Tensor], vocabulary: Path
) -> nn.Module:
    """Build the module's network, in eval mode; its weights are the given tensors themselves.

    Args:
        config: the sizes.
        weights: a state dict in the official layout.
        vocabulary: the text encoder's ``vocab.txt``.

    Raises:
        WeightsError: the weights are of another network.
    """
    tokenizer = bert_tokenizer(vocabulary)
    given = SimpleNamespace(
        get_tokenlizer=lambda kind: tokenizer,
        get_pretrained_language_model=lambda kind: _Bert(config.bert),
    )
    build = _reading(
        GroundingDINO.__init__, get_tokenlizer=given, BertModelWarper=lambda bert_model: bert_model
    )
    network: Any = GroundingDINO.__new__(GroundingDINO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.meshgrid without indexing
        build(
            network,
            _backbone(config.swin, config.hidden_dim),
            _transformer(config),
            num_queries=config.num_queries,
            aux_loss=True,
            iter_update=True,
            query_dim=4,
            num_feature_levels=config.num_feature_levels,
            nheads=config.nheads,
            two_stage_type="standard",
            dec_pred_bbox_embed_share=True,
            two_stage_class_embed_share=False,
            two_stage_bbox_embed_share=False,
            sub_sentence_present=True,
        )
    load_weights(network, weights)
    published: nn.Module = network.eval().requires_grad_(False)
    return published


def bert_tokenizer(vocabulary: Path) -> Any:
    """Return BERT's lower-casing tokenizer, as ``transformers`` has them, of a ``vocab.txt``."""
    ids = WordPiece.read_file(str(vocabulary))
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    tokenizer.post_processor = BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    library: Any = transformers  # how it is typed changes with its version
    return library.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


class _Bert(TextEncoder):
    """BERT as the module calls it."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.config = config

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
    ) -> dict[str, Tensor]:
        """Return the (B, L, C) features of (B, L) tokens; ``attention_mask`` is (B, L, L) bool."""
        real = token_type_ids == 0
        prompts = PromptBatch(input_ids, real, attention_mask, position_ids)
        return {"last_hidden_state": super().forward(prompts)}


def _backbone(sizes: SwinConfig, width: int) -> nn.Module:
    swin: Any = build_swin(sizes)
    position = PositionEmbeddingSineHW(width // 2, temperatureH=20, temperatureW=20, normalize=True)
    backbone: Any = Joiner(swin, position)
    backbone.num_channels = [swin.num_features[stage] for stage in sizes.out_indices]
    joined: nn.Module = backbone
    return joined


def _transformer(config: GroundingDINOConfig) -> nn.Module:
    width = config.hidden_dim
    transformer: nn.Module = Transformer(
        d_model=width,
        nhead=config.nheads,
        num_queries=config.num_queries,
        num_encoder_layers=config.enc_layers,
        num_decoder_layers=config.dec_layers,
        dim_feedforward=config.dim_feedforward,
        dropout=0.0,
        return_intermediate_dec=True,
        query_dim=4,
        num_feature_levels=config.num_feature_levels,
        enc_n_points=config.enc_n_points,
        dec_n_points=config.dec_n_points,
        learnable_tgt_init=True,
        two_stage_type="standard",
        embed_init_tgt=config.embed_init_tgt,
        use_text_enhancer=True,
        use_fusion_layer=True,
        use_text_cross_attention=True,
        text_dropout=0.0,
        fusion_dropout=0.0,
        fusion_droppath=config.fusion_droppath,
    )
    if width != _USUAL_WIDTH:
        _embed_positions(transformer.encoder, "get_sine_pos_embed", width)
        _embed_positions(transformer.decoder, "gen_sineembed_for_position", width // 2)
    return transformer


def _embed_positions(part: Any, name: str, width: int) -> None:
    """Let a part of the transformer embed each number of a position in another width."""

    def embed(positions: Tensor, num_pos_feats: int = 0, exchange_xy: bool = True) -> Tensor:
        out: Tensor = get_sine_pos_embed(positions, width, exchange_xy=exchange_xy)
        return out

    part.forward = MethodType(_reading(type(part).forward, **{name: embed}), part)


def _reading(function: Any, **others: Any) -> Any:
    """Return a function of the module that finds other things under some of its global names."""
    return FunctionType(
        function.__code__,
        {**function.__globals__, **others},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
