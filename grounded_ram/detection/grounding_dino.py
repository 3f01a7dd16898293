"""The Grounding-DINO detector, on our network and the official weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.network import GroundingDINO, load_weights
from grounded_ram.detection.prompted import PromptedDetector, read_tokenizer
from grounded_ram.detection.text import PromptBatch, PromptTokenizer
from grounded_ram.detection.text_cache import Block, TextCache
from grounded_ram.detection.transformer import ImageFeatures, TextFeatures
from grounded_ram.weights import Checkpoint, fetch, load_state_dict


class GroundingDINODetector(PromptedDetector[ImageFeatures]):
    """Finds boxes for named things with Grounding-DINO; see ``PromptedDetector``.

    Args:
        network: the network, with its weights, on its device; both must stay as they are, since
            the text features of tags are kept.
        tokenizer: the text encoder's tokenizer.
        short_side: an image is resized so that its shorter side has this many pixels,
        long_side: but its longer side no more than this many.
        dtype: torch.float32, or torch.bfloat16 to compute under autocast.
        batch_size: images, and prompts, taken at once.
    """

    def __init__(
        self,
        network: GroundingDINO,
        tokenizer: PromptTokenizer,
        *,
        short_side: int = 800,
        long_side: int = 1333,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
    ) -> None:
        super().__init__(
            tokenizer,
            max_text_len=network.config.max_text_len,
            max_positions=network.config.bert.max_position_embeddings,
            device=network.feat_map.weight.device,
            short_side=short_side,
            long_side=long_side,
            dtype=dtype,
            batch_size=batch_size,
        )
        self.network = network.eval()
        self._text = TextCache(partial(_encode, network, tokenizer))

    def compile(self) -> None:
        """Let torch compile the image backbone on a GPU, when it is first used.

        On a CPU it is left as it is: that takes minutes, for each size of images, and gains little.
        """
        if self._device.type != "cpu":
            self.network.backbone[0].compile()

    def _see(self, pixels: Tensor) -> ImageFeatures:
        return self.network.image_features(pixels)

    def _answer(
        self, seen: ImageFeatures, rows: Sequence[int], prompts: PromptBatch
    ) -> tuple[Tensor, Tensor]:
        tokens = self._text.features(prompts)
        text = TextFeatures(tokens, prompts.real, prompts.sees, prompts.positions)
        found = self.network.ground_text(seen.take(rows), text).layers[-1]
        return found.logits, found.boxes


def load_grounding_dino(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> GroundingDINODetector:
    """Build the detector of a checkpoint; files that are not there are downloaded.

    Raises:
        WeightsError: a file is absent, or does not fit the others.
    """
    files = fetch(checkpoint)
    config = DetectorConfig.from_dict(json.loads(files["config"].read_text("utf-8")))
    tokenizer = read_tokenizer(files["vocab"], config.model.bert.vocab_size, checkpoint.name)
    network = GroundingDINO(config.model)
    load_weights(network, load_state_dict(files["weights"]))
    return GroundingDINODetector(
        network.requires_grad_(False).to(device),
        tokenizer,
        short_side=config.short_side,
        long_side=config.long_side,
        dtype=dtype,
    )


def _encode(network: GroundingDINO, tokenizer: PromptTokenizer, blocks: Sequence[Block]) -> Tensor:
    batch = tokenizer.batch(blocks).to(network.feat_map.weight.device)
    return network.text_features(batch).tokens
