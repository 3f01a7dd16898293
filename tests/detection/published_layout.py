"""Official Grounding-DINO weights under the names of the files published for transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

SWIN = "model.backbone.conv_encoder.model."
FEED_FORWARD = {"linear1": "fc1", "linear2": "fc2"}

# The first part of a name, what stands in its place, and the renamed words of the rest.
SCOPES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("backbone.0.patch_embed.", f"{SWIN}embeddings.", {"proj.": "patch_embeddings.projection."}),
    (
        "backbone.0.layers.",
        f"{SWIN}encoder.layers.",
        {
            "norm1": "layernorm_before",
            "norm2": "layernorm_after",
            "attn.proj": "attention.output.dense",
            "attn.": "attention.self.",
            "mlp.fc1": "intermediate.dense",
            "mlp.fc2": "output.dense",
        },
    ),
    ("backbone.0.norm1.", f"{SWIN}hidden_states_norms.stage2.", {}),
    ("backbone.0.norm2.", f"{SWIN}hidden_states_norms.stage3.", {}),
    ("backbone.0.norm3.", f"{SWIN}hidden_states_norms.stage4.", {}),
    ("bert.", "model.text_backbone.", {}),
    ("feat_map.", "model.text_projection.", {}),
    ("input_proj.", "model.input_proj_vision.", {}),
    (
        "transformer.encoder.layers.",
        "model.encoder.layers.deformable_layer.",
        FEED_FORWARD | {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm"},
    ),
    (
        "transformer.encoder.text_layers.",
        "model.encoder.layers.text_enhancer_layer.",
        FEED_FORWARD | {"norm1": "layer_norm_before", "norm2": "layer_norm_after"},
    ),
    (
        "transformer.encoder.fusion_layers.",
        "model.encoder.layers.fusion_layer.",
        {
            "gamma_v": "vision_param",
            "gamma_l": "text_param",
            "norm_v": "norm_vision",
            "norm_l": "norm_text",
            "v_proj": "vision_proj",
            "l_proj": "text_proj",
        },
    ),
    (
        "transformer.decoder.layers.",
        "model.decoder.layers.",
        FEED_FORWARD
        | {
            "catext_norm": "encoder_attn_text_layer_norm",
            "ca_text": "encoder_attn_text",
            "cross_attn": "encoder_attn",
            "norm1": "encoder_attn_layer_norm",
            "norm2": "self_attn_layer_norm",
            "norm3": "final_layer_norm",
        },
    ),
    ("transformer.decoder.norm.", "model.decoder.layer_norm.", {}),
    ("transformer.decoder.ref_point_head.", "model.decoder.reference_points_head.", {}),
    ("transformer.enc_out_bbox_embed.", "model.encoder_output_bbox_embed.", {}),
    ("transformer.tgt_embed.", "model.query_position_embeddings.", {}),
    ("transformer.", "model.", {}),
    ("bbox_embed.", "bbox_embed.", {}),
)
UNUSED = ("bert.pooler.", "bert.embeddings.position_ids", "label_enc.")
TOGETHER = ("qkv.", "in_proj_")
"""What the official files hold as one tensor: query, key and value, one above the other."""


def published_layout(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a whole state dict; what transformers has no use for is left out."""
    return {
        name: tensor.clone()
        for key, value in official.items()
        if not key.startswith(UNUSED)
        for name, tensor in apart(renamed(key), value)
    }


def renamed(key: str) -> str:
    old, new, words = next(scope for scope in SCOPES if key.startswith(scope[0]))
    rest = key.removeprefix(old)
    for word, other in words.items():
        rest = rest.replace(word, other)
    if new.startswith("model.encoder.layers."):  # the layer's number comes before its part
        number, _, rest = rest.partition(".")
        part = new.removeprefix("model.encoder.layers.")
        return f"model.encoder.layers.{number}.{part}{rest}"
    return new + rest


def apart(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    for word in TOGETHER:
        if word in name:
            parts = zip(("query.", "key.", "value."), tensor.chunk(3), strict=True)
            yield from ((name.replace(word, part), piece) for part, piece in parts)
            return
    yield name, tensor
