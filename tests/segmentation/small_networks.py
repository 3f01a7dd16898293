"""The real classes of ``transformers``, small, with random weights large enough to matter."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

from grounded_ram.weights import Checkpoint, WeightFile

CPU = torch.device("cpu")
SIDE = 64


def need(name: str) -> Any:
    """Return a class of ``transformers``, or skip the tests of a file."""
    if not hasattr(transformers, name):
        pytest.skip(
            f"transformers {transformers.__version__} has no {name}", allow_module_level=True
        )
    return getattr(transformers, name)


def shake(model: nn.Module, seed: int) -> Any:
    """Draw every weight anew: fresh networks answer nearly the same to everything."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() > 1:
                weight.copy_(noise * (1.2 / weight[0].numel() ** 0.5 + 0.04))
            else:
                weight.copy_(noise * 0.2 + (1.0 if "norm" in name and "weight" in name else 0.0))
        for name, table in model.named_buffers():
            if name.endswith("positional_embedding"):  # one table, held in two places
                table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(seed)))
    return model.eval()


def sam_hq() -> Any:
    config = transformers.SamHQConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": 8,
            "window_size": 3,
            "global_attn_indexes": [1, 3],
            "num_pos_feats": 16,
            "mlp_dim": 64,
        },
        prompt_encoder_config={
            "hidden_size": 32,
            "image_size": SIDE,
            "patch_size": 8,
            "image_embedding_size": 8,
            "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
            "vit_dim": 32,
        },
    )
    model = shake(transformers.SamHQModel(config), seed=1)
    model.mask_decoder.iou_prediction_head.proj_out.bias.data += 0.6  # to scores inside [0, 1]
    return model


_PROMPTS = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
_DECODER = {
    "hidden_size": 32,
    "mlp_dim": 64,
    "num_attention_heads": 4,
    "iou_head_hidden_dim": 32,
}


def sam2() -> Any:
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(
            hidden_size=8,
            image_size=[SIDE, SIDE],
            blocks_per_stage=[1, 1, 2, 1],
            embed_dim_per_stage=[8, 16, 32, 64],
            num_attention_heads_per_stage=[1, 2, 4, 8],
            window_size_per_stage=[8, 4, 4, 2],
            global_attention_blocks=[3],
            window_positional_embedding_background_size=[4, 4],
        ),
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    config = transformers.Sam2Config(
        vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER
    )
    return shake(transformers.Sam2Model(config), seed=2)


def edgetam() -> Any:
    """SAM 2's decoder behind timm's RepViT, cut down."""
    timm_args = {"features_only": True, "out_indices": [0, 1, 2, 3]}
    widths = [8, 8, 16, 16]
    vision = transformers.EdgeTamVisionConfig(
        backbone_config=transformers.TimmWrapperConfig(
            architecture="repvit_m1",
            model_args={**timm_args, "embed_dim": widths, "depth": [1, 1, 1, 1]},
        ),
        backbone_channel_list=widths[::-1],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    config = transformers.EdgeTamConfig(
        vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER
    )
    return shake(transformers.EdgeTamModel(config), seed=3)


_VIDEO = {
    "image_size": SIDE,
    "memory_attention_hidden_size": 32,
    "memory_attention_num_layers": 1,
    "memory_encoder_hidden_size": 32,
    "memory_encoder_output_channels": 16,
    "mask_downsampler_embed_dim": 32,
    "memory_fuser_embed_dim": 32,
    "memory_fuser_intermediate_dim": 32,
}
"""What networks for videos have besides."""


def for_videos(network: Any) -> Any:
    """Return SAM 2 or EdgeTAM as it is released: a network for videos, with the same weights."""
    name = type(network).__name__.removesuffix("Model")
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    given = {part: getattr(network.config, part).to_dict() for part in parts}
    config = getattr(transformers, f"{name}VideoConfig")(**given, **_VIDEO)
    video = getattr(transformers, f"{name}VideoModel")(config)
    assert not video.load_state_dict(network.state_dict(), strict=False).unexpected_keys
    return video


_SAM3_VISION = {
    "model_type": "sam3_vision_model",
    "backbone_config": {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 32,
    },
    "fpn_hidden_size": 32,
    "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
}
_SAM3_TRACKER = {
    "vision_config": _SAM3_VISION,
    "prompt_encoder_config": {**_PROMPTS, "patch_size": 8},
    "mask_decoder_config": _DECODER,
}


def sam3_tracker() -> Any:
    config = transformers.Sam3TrackerConfig(**_SAM3_TRACKER)
    return shake(transformers.Sam3TrackerModel(config), seed=4)


def sam3_video() -> Any:
    """SAM 3 as it is released: detector and tracker in one, of which videos need more than we."""
    part = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    detector = transformers.Sam3Config(
        vision_config=_SAM3_VISION,
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 64,
            "projection_dim": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
        geometry_encoder_config={**part, "num_layers": 1},
        detr_encoder_config={**part, "num_layers": 2},
        detr_decoder_config={**part, "num_layers": 2, "num_queries": 10},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 4},
    )
    tracker = transformers.Sam3TrackerVideoConfig(
        **_SAM3_TRACKER, **_VIDEO, memory_attention_rope_feat_sizes=[8, 8]
    )
    config = transformers.Sam3VideoConfig(detector_config=detector, tracker_config=tracker)
    return shake(transformers.Sam3VideoModel(config), seed=5)


def clip_tokenizer() -> Tokenizer:
    """CLIP's kind of tokenizer with a handful of letters and one merged word."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    pieces += ["ca", "car</w>"]
    model = models.BPE(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[("c", "a"), ("ca", "r</w>")],
        end_of_word_suffix="</w>",
        unk_token="<|endoftext|>",
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False
    )
    return tokenizer


def write_files(folder: Path, model: Any, **others: str) -> Checkpoint:
    """Write a network as its repository has it, and return the row of these files.

    Not by ``save_pretrained``, which writes some of SAM 3's names as no release has them.
    """
    tied = set(model._tied_weights_keys or ())
    state = {
        name: tensor.clone() for name, tensor in model.state_dict().items() if name not in tied
    }
    save_file(state, folder / "model.safetensors")
    write_config(folder, model.config)
    names = {"config": "config.json", "weights": "model.safetensors", **others}
    files = {
        role: WeightFile(name=name, source=f"file:{folder / name}") for role, name in names.items()
    }
    return Checkpoint(name="small:mine", summary="", licence="Apache-2.0", files=files)


def write_config(folder: Path, config: Any) -> None:
    """Write all of a config: to leave out what is usual, some look up the usual on the hub."""
    config.to_json_file(folder / "config.json", use_diff=False)


def old_transformers() -> ModuleType:
    """Return what an installed transformers is like that has none of these families."""
    module = ModuleType("transformers")
    module.__version__ = "4.40.2"  # type: ignore[attr-defined]
    return module


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw patches of colour: noise alone looks the same everywhere."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8)
    return np.ascontiguousarray(patches.repeat(9, 0).repeat(9, 1)[:height, :width])


def detections(boxes: Any) -> sv.Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(xyxy)
    return sv.Detections(
        xyxy,
        confidence=np.linspace(0.9, 0.5, n, dtype=np.float32),
        class_id=np.arange(n),
        data={"class_name": np.array([f"thing {i}" for i in range(n)], dtype=str)},
    )


def assert_same(a: sv.Detections, b: sv.Detections) -> None:
    np.testing.assert_array_equal(a.xyxy, b.xyxy)
    np.testing.assert_array_equal(np.asarray(a.mask), np.asarray(b.mask))
    np.testing.assert_array_equal(a.data["mask_score"], b.data["mask_score"])


def assert_close(a: sv.Detections, b: sv.Detections) -> None:
    """Compare what two copies of a network say: where weights lie in memory moves last digits."""
    np.testing.assert_allclose(a.xyxy, b.xyxy, atol=1e-3)
    assert np.mean(np.asarray(a.mask) != np.asarray(b.mask)) < 1e-3
    np.testing.assert_allclose(a.data["mask_score"], b.data["mask_score"], atol=1e-5)
