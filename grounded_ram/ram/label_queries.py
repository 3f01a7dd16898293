"""Label embeddings of any words: what RAM and RAM++ know their tags by, made by CLIP.

A word is put into many prompts; CLIP's text encoder embeds each, and the mean direction stands for
the word: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(2021), section 3.1.4. The encoder and the prompts that are the defaults here are those with which
the official code of RAM embeds words that it was not trained on.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grounded_ram.cache import cache_folder, known_sha256
from grounded_ram.disk import put_in_place
from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.names import unknown_name
from grounded_ram.weights import (
    Checkpoint,
    WeightFile,
    fetch,
    find_checkpoint,
    load_state_dict,
)

_SHOTS = ("good", "bad", "bright", "dark", "cropped", "close-up", "black and white")
_FLAWED = ("low resolution", "jpeg corrupted", "blurry", "pixelated")
_LOOKS = ("nice", "cool", "weird", "small", "large", "clean", "dirty", "hard to see")
_KINDS = ("plastic", "toy", "plushie", "cartoon")

TEMPLATES = (
    "There is {article} {name} in the scene.",
    "There is the {name} in the scene.",
    *(f"This is a photo of {one} {{name}} in the scene." for one in ("{article}", "the", "one")),
    *(f"itap of {one} {{name}}." for one in ("{article}", "my", "the")),  # "I took a picture"
    *(f"This is a photo of {x} {{name}}." for x in ("{article}", "my", "the", "one", "many")),
    *(f"This is a {shot} photo of {{article}} {{name}}." for shot in (*_SHOTS, *_FLAWED)),
    *(f"This is a {shot} photo of the {{name}}." for shot in (*_SHOTS, *_FLAWED)),
    *(f"This is a photo of {one} {look} {{name}}." for look in _LOOKS for one in ("a", "the")),
    *(f"This is {one} {kind} {{name}}." for kind in _KINDS for one in ("a", "the")),
    *(f"This is {one} embroidered {{name}}." for one in ("an", "the")),
    *(f"This is a painting of {one} {{name}}." for one in ("a", "the")),
)
"""The prompts that RAM embeds a word with, as its ``openset_utils`` words them: those of Gu et al.,
"Open-vocabulary Object Detection via Vision and Language Knowledge Distillation" (2022)."""


def prompts(word: str) -> list[str]:
    """Return the prompts of a word or phrase, with its grammar as RAM has it.

    The article goes by the word as it is written: "an apple", but "a apple" for "Apple".
    """
    article = "an" if word.startswith(tuple("aeiou")) else "a"
    name = word.replace("_", " ").replace("/", " or ").lower().rstrip(".")
    return [template.format(article=article, name=name) for template in TEMPLATES]


class CLIPLabels:
    """Embeds words and descriptions by the text encoder of a CLIP model.

    What was embedded once is kept on disk, one small file a word, and does not need the model
    again: the file's name is a digest of the model, its weights and the texts.

    Args:
        model: which model, by its name in open_clip.
        pretrained: which weights: their name in open_clip, for which there must be a checkpoint row
            "clip:MODEL-PRETRAINED" in lower case; or the path of a file of your own.
        device: where the text encoder runs.

    Raises:
        UnknownNameError: there is no such model, or no row of such weights.
        InputError: the model's text encoder is not one of CLIP's own kind, or a path is no Path.
    """

    def __init__(
        self,
        model: str = "ViT-B-16",
        pretrained: str | Path = "openai",
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.pretrained = pretrained
        self.device = torch.device(device)
        self._sizes = _read_sizes(model)
        # open_clip's plain configs have the exact GELU, OpenAI trained with its quick stand-in.
        self._sizes |= {"quick_gelu": True} if pretrained == "openai" else {}
        self._weights = _weights_of(model, pretrained)

    def __str__(self) -> str:
        return f"CLIP {self.model} ({self.pretrained})"

    @property
    def dim(self) -> int:
        """The numbers of an embedding."""
        return int(self._sizes["embed_dim"])

    def word(self, word: str) -> Tensor:
        """Return the (dim,) embedding of a word or phrase, of unit length.

        Raises:
            WeightsError: the model is needed, and its weights are absent or do not fit it.
        """
        return self._embed(prompts(word))

    def text(self, text: str) -> Tensor:
        """Return the (dim,) embedding of a text as it stands, of unit length.

        What is longer than the model reads, 77 tokens for CLIP, is cut.

        Raises:
            WeightsError: the model is needed, and its weights are absent or do not fit it.
        """
        return self._embed([text])

    def _embed(self, texts: Sequence[str]) -> Tensor:
        """Return the mean direction of some texts, from the disk if it is there."""
        made_of = json.dumps([self._sizes, self._digest, texts], sort_keys=True)
        path = cache_folder() / "labels" / hashlib.sha256(made_of.encode()).hexdigest()
        found = _read(path)
        if found is None:
            found = self._encode(texts)
            _write(found, path)
        return torch.from_numpy(found)

    @torch.no_grad()
    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        tokenizer, encoder = self._encoder
        each = functional.normalize(encoder.encode_text(tokenizer(texts).to(self.device)), dim=-1)
        mean: NDArray[np.float32] = functional.normalize(each.mean(dim=0), dim=-1).cpu().numpy()
        return mean

    @cached_property
    def _digest(self) -> str:
        """The SHA-256 of the weights, which need not be here if it is known."""
        return self._weights.files["weights"].sha256 or known_sha256(self._path)

    @cached_property
    def _path(self) -> Path:
        return fetch(self._weights)["weights"]

    @cached_property
    def _encoder(self) -> tuple[Any, Any]:
        """The tokenizer, and the model without its image encoder."""
        tokenizer, network = self.model_and_tokenizer()
        del network.visual
        return tokenizer, network.to(self.device).eval()

    def model_and_tokenizer(self) -> tuple[Any, Any]:
        """Read open_clip's tokenizer and model, both of its encoders, on the CPU.

        Raises:
            WeightsError: the weights are absent or do not fit the model.
        """
        import open_clip

        network = open_clip.CLIP(**self._sizes)
        try:
            network.load_state_dict(load_state_dict(self._path))
        except RuntimeError as error:
            raise WeightsError(f"{self._path} holds no weights of {self.model}") from error
        return open_clip.get_tokenizer(self.model), network


def _read_sizes(model: str) -> dict[str, Any]:
    """Return the arguments of ``open_clip.CLIP`` for one of its models."""
    import open_clip

    known = open_clip.list_models()
    if model not in known:
        raise unknown_name("open_clip model", model, known)
    sizes: dict[str, Any] = open_clip.get_model_config(model)
    own = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
    if sizes.keys() - own or "hf_model_name" in sizes["text_cfg"]:
        raise InputError(f"{model}: expected a model with CLIP's own text encoder, as ViT-B-16 has")
    return sizes


def _weights_of(model: str, pretrained: str | Path) -> Checkpoint:
    """Return the checkpoint of some weights: ours by their name, or made of a file."""
    name = f"clip:{model}-{pretrained}".lower()
    if isinstance(pretrained, Path):
        file = WeightFile(name=pretrained.name, source=f"file:{pretrained}")
        return Checkpoint(name=name, summary="", licence="", files={"weights": file})
    if Path(pretrained).name != pretrained:
        raise InputError(f"expected a name or a Path of weights; write Path({pretrained!r})")
    try:
        return find_checkpoint(name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}. For others give the Path of a file.") from error


def _read(path: Path) -> NDArray[np.float32] | None:
    """Read an embedding that ``_write`` wrote; None if it is absent or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, numbers = content[:32], content[32:]
    if hashlib.sha256(numbers).digest() != digest:
        return None
    return np.frombuffer(numbers, "<f4").astype(np.float32)


def _write(numbers: NDArray[np.float32], path: Path) -> None:
    """Write an embedding behind its SHA-256: whole or, if the folder cannot be written, not."""
    content = numbers.astype("<f4").tobytes()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(hashlib.sha256(content).digest() + content)
        put_in_place(draft, path)
