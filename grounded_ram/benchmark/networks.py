"""The stages to measure: from weights that are on this disk, else of random ones; never downloaded.

Speed does not depend on weights. Without a checkpoint's files a network of the same class is built
from its config, where that is part of this package.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final

import torch

from grounded_ram.backends import set_speed
from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.prompted import read_tokenizer
from grounded_ram.downloads import find_whole
from grounded_ram.errors import WeightsError
from grounded_ram.names import split_backend
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from grounded_ram.registry import Stage, find_factory
from grounded_ram.segmentation.sam import SAMConfig, SAMSegmenter, build_sam
from grounded_ram.tagging.ram import QueryTagger, RAMTagger
from grounded_ram.tagging.ram_plus import RAMPlusTagger
from grounded_ram.tagging.table import TagTable
from grounded_ram.vocabulary.table import official_vocabulary
from grounded_ram.weights import find_checkpoint, missing

_SEED = 0
_THRESHOLD = 0.5  # of tags that mean nothing


@dataclass(frozen=True, eq=False)
class Part:
    """One stage, ready to run.

    Args:
        name: the backend's name.
        stage: the object with the stage's method.
        is_random: whether its weights are random.
        config: sizes of a network that the package itself builds, as far as the stage does not
            tell them.
        vocabulary: the file of the text encoder's tokens, if there is one.
    """

    name: str
    stage: Any
    is_random: bool
    config: DetectorConfig | SAMConfig | None = None
    vocabulary: Path | None = None


def load_part(
    stage: Stage,
    name: str,
    folder: Path,
    *,
    batch_size: int = 1,
    compile: bool = False,  # torch's word for it
    **options: Any,
) -> Part:
    """Load a backend if all of its files are here, else build it with random weights.

    Args:
        stage: which stage.
        name: the backend's name.
        folder: where a vocabulary is put that stands for one that is absent.
        batch_size: as ``GroundedRAM`` takes it,
        compile: likewise.
        **options: what the factories of the registry take: ``device``, ``dtype``.

    Raises:
        UnknownNameError: no adapter or checkpoint has that name.
        WeightsError: its files are not here, and its sizes are not known without them.
    """
    part = _load(stage, name, folder, options)
    set_speed(part.stage, batch_size=batch_size, compile=compile)
    return part


def _load(stage: Stage, name: str, folder: Path, options: Mapping[str, Any]) -> Part:
    make = find_factory(stage, name)
    checkpoint = find_checkpoint(name)
    paths = {role: find_whole(file) for role, file in checkpoint.files.items()}
    here = {role: path for role, path in paths.items() if path is not None}
    sizes = _config(name, here)
    if not missing(checkpoint):
        # Without what its repository may lack, so that nobody looks for that on the network.
        files = {role: file for role, file in checkpoint.files.items() if role in here}
        loaded = make(replace(checkpoint, files=files), **options)
        return Part(name, loaded, False, sizes, here.get("vocab"))
    adapter, _ = split_backend(name)
    build = _BUILDERS.get(adapter)
    if build is None or "config" not in here:
        lost = ", ".join(file.name for file in missing(checkpoint))
        raise WeightsError(
            f"{stage} {name!r} can be measured only with its files, which tell its sizes; missing "
            f"are {lost}: type `grounded-ram download {name}` where there is a network"
        )
    with _seeded():
        return build(name, here, folder, **options)


def _config(name: str, files: Mapping[str, Path]) -> DetectorConfig | SAMConfig | None:
    """Read the sizes of a Grounding-DINO or SAM of the official layout."""
    adapter, _ = split_backend(name)
    if adapter == "grounding-dino" and "config" in files:
        return DetectorConfig.from_dict(_read(files))
    if adapter == "sam" and "config" in files:
        return SAMConfig.from_dict(_read(files)["model"])
    return None


def _read(files: Mapping[str, Path]) -> Any:
    return json.loads(files["config"].read_text("utf-8"))


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw the same random weights every time, and leave the caller's generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        yield


def _tagger(network_class: Any, sizes: Any, tagger_class: Any) -> Callable[..., Part]:
    """Return what builds a tagger of the RAM family."""

    def build(name: str, files: Mapping[str, Path], folder: Path, **options: Any) -> Part:
        config = sizes.from_dict(_read(files).get("model", {}))
        names = [f"tag {number}" for number in range(config.num_tags)]
        table = TagTable.of(names, [_THRESHOLD] * len(names))
        network = network_class(config).requires_grad_(False)
        return Part(name, tagger_class(network, table, **options), True)

    return build


def _grounding_dino(name: str, files: Mapping[str, Path], folder: Path, **options: Any) -> Part:
    config = DetectorConfig.from_dict(_read(files))
    size = config.model.bert.vocab_size
    vocabulary = files.get("vocab") or _made_up_vocabulary(folder / "vocab.txt", size)
    network = GroundingDINO(config.model).requires_grad_(False)
    device = options.pop("device")
    stage = GroundingDINODetector(
        network.to(device),
        read_tokenizer(vocabulary, size, name),
        short_side=config.short_side,
        long_side=config.long_side,
        **options,
    )
    return Part(name, stage, True, config, vocabulary)


def _sam(name: str, files: Mapping[str, Path], folder: Path, **options: Any) -> Part:
    config = SAMConfig.from_dict(_read(files)["model"])
    model = build_sam(config).requires_grad_(False)
    return Part(name, SAMSegmenter(model, **options), True, config)


def _made_up_vocabulary(path: Path, size: int) -> Path:
    """Write a vocabulary with a token for each letter and for each word of our tags."""
    letters = [*ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    words = sorted({word for name in official_vocabulary() for word in name.lower().split()})
    tokens = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "?", *letters, *words])
    path.write_text("".join(f"{token}\n" for token in list(tokens)[:size]), "utf-8")
    return path


_BUILDERS: Final[Mapping[str, Callable[..., Part]]] = {
    "ram": _tagger(RAM, RAMConfig, RAMTagger),
    "ram-captions": _tagger(RAM, RAMConfig, RAMTagger),
    "ram-plus": _tagger(RAMPlus, RAMPlusConfig, RAMPlusTagger),
    "tag2text": _tagger(Tag2Text, Tag2TextConfig, QueryTagger),
    "grounding-dino": _grounding_dino,
    "sam": _sam,
}
"""What builds the networks of each adapter whose configs are part of this package."""
