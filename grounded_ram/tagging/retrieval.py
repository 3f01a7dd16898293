"""Retrieval: the images that a text fits, and the texts that fit an image, by Tag2Text's alignment.

As in ALBEF (Li et al., 2021): every pair is scored by cosine (ITC); the best candidates are then
ranked anew by looking at image and text together (ITM), which costs one run of the text encoder a
pair. Tag2Text adds the tags that image and text have in common (section 3.4).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.alignment import AlignmentConfig, TextInputs, text_inputs
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import DERIVED_PREFIXES
from grounded_ram.ram.model import tagging_weights
from grounded_ram.ram.tag2text import Tag2TextConfig
from grounded_ram.ram.tag2text_networks import Tag2TextNetworks
from grounded_ram.runtime import autocast, in_batches, to_device
from grounded_ram.tagging.ram import load_weights, prepare
from grounded_ram.tagging.ranking import Hits, ranked
from grounded_ram.weights import Checkpoint, fetch, load_state_dict

if TYPE_CHECKING:
    from grounded_ram.images import Image

RERANKED = 128
"""Candidates that are ranked anew, as ALBEF has it for Flickr30K; for COCO it takes 256."""


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """N images, looked at once, to be searched or to search with; all in main memory.

    Args:
        directions: (N, dim) float32 of unit length.
        tokens: (N, T, C), what matching attends to: 0.6 MB an image with Swin-B in float32.
        tags: of each image; empty where none are known.
    """

    directions: NDArray[np.float32]
    tokens: Tensor
    tags: tuple[frozenset[str], ...]

    def __len__(self) -> int:
        return len(self.tags)


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """N texts, read once, to be searched or to search with.

    Args:
        directions: (N, dim) float32 of unit length.
        texts: the texts themselves, which matching reads again.
        tags: of each text; empty where none are known.
    """

    directions: NDArray[np.float32]
    texts: tuple[str, ...]
    tags: tuple[frozenset[str], ...]

    def __len__(self) -> int:
        return len(self.tags)


class _Pair(NamedTuple):
    """An image and a text to be matched, as their numbers."""

    image: int
    text: int


class Retriever:
    """Finds images by text and texts by image.

    Args:
        network: Tag2Text with its alignment parts; moved to ``device`` and set to evaluation.
        tokenizer: over its vocabulary.
        device: where the network runs.
        dtype: float32, or a shorter type to run under autocast.
        batch_size: images, texts or pairs in one run of the network. With more than 1, the last
            digits of a score can depend on its neighbours.
        tag_weight: what each tag that image and text have in common adds to a score; log-odds. The
            paper weighs them, too, but not by which number: choose it on pairs of your own.

    Raises:
        InputError: the network has no alignment parts.
    """

    def __init__(
        self,
        network: Tag2TextNetworks,
        tokenizer: CaptionTokenizer,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
        tag_weight: float = 0.0,
    ) -> None:
        if not isinstance(network, Tag2TextNetworks):
            raise InputError(
                "retrieval needs alignment parts: expected Tag2TextNetworks, trained with them, "
                f"got {type(network).__name__}"
            )
        self.device = torch.device(device)
        self.dtype = dtype
        self.batch_size = batch_size
        self.tag_weight = tag_weight
        self.tokenizer = tokenizer
        self.network = network.to(self.device).eval()

    def embed_images(
        self, images: Sequence[Image], tags: Sequence[Collection[str]] | None = None
    ) -> ImageEmbeddings:
        """Look at N images.

        Args:
            images: N images.
            tags: what a tagger saw in each; None means that tags do not count.

        Raises:
            InputError: there is not one entry of tags for each image.
        """
        config = self.network.config
        found = in_batches(self, images, self._look)
        cells = 1 + config.stage_side(len(config.depths) - 1) ** 2
        none = torch.zeros(0, cells, config.out_dim, dtype=self.dtype)
        return ImageEmbeddings(
            self._directions([direction for direction, _ in found]),
            torch.stack([tokens for _, tokens in found]) if found else none,
            _tag_sets(tags, len(images)),
        )

    def embed_texts(
        self, texts: Sequence[str], tags: Sequence[Collection[str]] | None = None
    ) -> TextEmbeddings:
        """Read N texts.

        Args:
            texts: N texts, of which the first 38 word pieces are read.
            tags: what a parser found in each; None means that tags do not count.

        Raises:
            InputError: there is not one entry of tags for each text, or ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise InputError(f"texts: expected a list of texts, got {texts!r}; write [{texts!r}]")
        found = in_batches(self, texts, self._read)
        return TextEmbeddings(self._directions(found), tuple(texts), _tag_sets(tags, len(texts)))

    def images_for(
        self,
        texts: TextEmbeddings,
        images: ImageEmbeddings,
        *,
        k: int = RERANKED,
        match: bool = True,
    ) -> Hits:
        """Return the best k images for each text.

        Their scores are log-odds that image and text fit or, without matching, their cosine over
        the temperature; what common tags add is in them.

        Args:
            texts: Q queries.
            images: N candidates; fewer than k are all returned.
            k: candidates that cosines choose.
            match: rank these anew by matching; False leaves the cosines' order.

        Raises:
            InputError: k is below 1.
        """
        best = self._nearest(texts, images, k)
        if not match:
            return best
        pairs = [_Pair(int(i), q) for q, row in enumerate(best.numbers) for i in row]
        return ranked(best.numbers, self._scores(pairs, images, texts).reshape(best.scores.shape))

    def texts_for(
        self,
        images: ImageEmbeddings,
        texts: TextEmbeddings,
        *,
        k: int = RERANKED,
        match: bool = True,
    ) -> Hits:
        """Return the best k texts for each image; see ``images_for``."""
        best = self._nearest(images, texts, k)
        if not match:
            return best
        pairs = [_Pair(q, int(i)) for q, row in enumerate(best.numbers) for i in row]
        return ranked(best.numbers, self._scores(pairs, images, texts).reshape(best.scores.shape))

    def _nearest(
        self,
        queries: ImageEmbeddings | TextEmbeddings,
        candidates: ImageEmbeddings | TextEmbeddings,
        k: int,
    ) -> Hits:
        """Choose candidates by cosine and common tags."""
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        kept = min(k, len(candidates))
        shape = (len(queries), kept)
        best = Hits(np.zeros(shape, np.int64), np.zeros(shape, np.float32))
        temperature = self.network.alignment.temperature.item()
        for q, direction in enumerate(queries.directions):  # one row in memory at a time
            row = candidates.directions @ direction / np.float32(temperature)
            row = row + self._bonus(queries.tags[q], candidates.tags)
            best.numbers[q] = np.argsort(-row, kind="stable")[:kept]
            best.scores[q] = row[best.numbers[q]]
        return best

    def _bonus(
        self, tags: frozenset[str], others: Sequence[frozenset[str]]
    ) -> NDArray[np.float32] | np.float32:
        """Return what common tags add to the score of each of some candidates."""
        if not self.tag_weight or not tags:
            return np.float32(0)
        return np.array([self.tag_weight * len(tags & other) for other in others], np.float32)

    def _scores(
        self, pairs: Sequence[_Pair], images: ImageEmbeddings, texts: TextEmbeddings
    ) -> NDArray[np.float32]:
        """Return the (P,) log-odds that pairs fit, with what common tags add."""
        odds = in_batches(self, pairs, lambda batch: self._match(batch, images, texts))
        common = [len(images.tags[pair.image] & texts.tags[pair.text]) for pair in pairs]
        bonus: NDArray[np.float32] = np.array(common, np.float32) * self.tag_weight
        return np.array(odds, np.float32) + bonus

    @torch.inference_mode()
    def _match(
        self, pairs: Sequence[_Pair], images: ImageEmbeddings, texts: TextEmbeddings
    ) -> list[float]:
        """Run the text encoder once over a few pairs, each of their images read once."""
        several, which = np.unique([pair.image for pair in pairs], return_inverse=True)
        tokens = to_device(images.tokens[torch.from_numpy(several)], self.device)
        inputs = self._inputs([texts.texts[pair.text] for pair in pairs])
        rows = torch.from_numpy(which).to(self.device)
        with autocast(self.device, self.dtype):
            logits = self.network.alignment.match(inputs, tokens, rows).float()
        odds: list[float] = (logits[:, 1] - logits[:, 0]).tolist()
        return odds

    @torch.inference_mode()
    def _look(self, images: Sequence[Image]) -> list[tuple[NDArray[np.float32], Tensor]]:
        """Run the image encoder once over a few images."""
        size = self.network.config.image_size
        batch = torch.stack([prepare(image, size) for image in images])
        with autocast(self.device, self.dtype):
            tokens = self.network.visual_encoder(to_device(batch, self.device)).tokens
            directions = self.network.alignment.image_directions(tokens)
        return list(zip(directions.cpu().numpy(), tokens.to(self.dtype).cpu(), strict=True))

    @torch.inference_mode()
    def _read(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Run the text encoder once over a few texts."""
        with autocast(self.device, self.dtype):
            directions = self.network.alignment.text_directions(self._inputs(texts))
        return [*directions.cpu().numpy()]

    def _inputs(self, texts: Sequence[str]) -> TextInputs:
        return text_inputs(self.tokenizer, texts).to(self.device)

    def _directions(self, rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        width = self.network.alignment.vision_proj.out_features
        return np.array(rows, np.float32).reshape(len(rows), width)


def load_retriever(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> Retriever:
    """Load a Tag2Text checkpoint that was trained with its alignment parts.

    Args:
        checkpoint: its row. Its files are "weights"; "vocab"; "config", a JSON object with "model",
            "text" and "alignment", the sizes of ``Tag2TextConfig``, ``TextConfig`` and
            ``AlignmentConfig``.
        device: where the network runs.
        dtype: float32, or a shorter type to run under autocast.

    Raises:
        WeightsError: the checkpoint has no alignment parts, a file is absent or damaged, or the
            files do not fit one another.
    """
    files, name = fetch(checkpoint), checkpoint.name
    if absent := {"config", "vocab"} - files.keys():
        raise WeightsError(f"{name}: retrieval needs {' and '.join(sorted(absent))} in its row")
    state = tagging_weights(load_state_dict(files["weights"]), DERIVED_PREFIXES)
    if not any(key.startswith("alignment.") for key in state):
        raise WeightsError(
            f"{name}: these weights cannot compare images with texts: they have no keys "
            "alignment.*. No published Tag2Text has; use one that was trained with alignment"
        )
    network, vocab_size = _build(files["config"], name)
    tokenizer = CaptionTokenizer(files["vocab"])
    if len(tokenizer) != vocab_size:
        raise WeightsError(
            f"{name}: its text networks know {vocab_size} tokens; {files['vocab']} with "
            f"[DEC] and [ENC] has {len(tokenizer)}"
        )
    _fill(network, state, name)
    return Retriever(network, tokenizer, device=device, dtype=dtype)


def _build(config: Path, name: str) -> tuple[Tag2TextNetworks, int]:
    """Return the network of some sizes, still untrained, and how many tokens it knows."""
    try:
        settings = json.loads(config.read_text("utf-8"))
        sizes = Tag2TextConfig.from_dict(settings["model"])
        text = TextConfig(**settings.get("text", {}))
        alignment = AlignmentConfig.from_dict(settings["alignment"])
        return Tag2TextNetworks(sizes, text, alignment), text.vocab_size
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{name}: its config cannot be used: {reason}") from error


def _fill(network: Tag2TextNetworks, state: Mapping[str, Tensor], name: str) -> None:
    """Put in the weights of a checkpoint called ``name``, in which shared tensors agree."""
    load_weights(network, state, name, DERIVED_PREFIXES, assign=False)
    for key, value in network.state_dict().items():
        if not torch.equal(value, state[key].to(value.dtype)):
            raise WeightsError(
                f"{name}: expected one tensor under several names, but {key} is not like the others"
            )


def _tag_sets(tags: Sequence[Collection[str]] | None, expected: int) -> tuple[frozenset[str], ...]:
    """Return the tags of each of so many inputs."""
    if tags is None:
        return (frozenset(),) * expected
    for entry in (tags, *tags):
        if isinstance(entry, str):
            raise InputError(f"tags: expected a list of names for each, got {entry!r}")
    if len(tags) != expected:
        raise InputError(f"tags: expected {expected} entries, one for each, got {len(tags)}")
    return tuple(frozenset(names) for names in tags)
