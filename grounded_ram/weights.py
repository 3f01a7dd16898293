"""Checkpoints as rows: what each consists of, where its files come from, and how to read them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.downloads import WeightFile, download, find_whole, is_offline, locate
from grounded_ram.errors import WeightsError
from grounded_ram.names import unknown_name

if TYPE_CHECKING:
    import torch

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "WeightFile",
    "fetch",
    "find_checkpoint",
    "load_state_dict",
    "missing",
    "relocate",
]

GROUP = "grounded_ram.checkpoints"
"""Entry points by which other packages add rows: the backend's name, and a Checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The files that make one backend.

    Args:
        name: the backend's name, "adapter:checkpoint".
        summary: what it is, in one line.
        licence: SPDX name of the weights' licence.
        files: by role: "weights", "config" (JSON), "vocab" (BERT's vocab.txt), "tags" and
            "thresholds" (text, one a line).
    """

    name: str
    summary: str
    licence: str
    files: Mapping[str, WeightFile]


def find_checkpoint(name: str) -> Checkpoint:
    """Return the row of a backend name, from our table or from an installed package.

    Raises:
        UnknownNameError: no row has that name.
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise unknown_name("checkpoint", name, [*CHECKPOINTS, *points])
    row: Checkpoint = points[name].load()
    return row


def missing(checkpoint: Checkpoint) -> list[WeightFile]:
    """Return the files that are absent or damaged."""
    return [file for file in checkpoint.files.values() if find_whole(file) is None]


def fetch(checkpoint: Checkpoint, *, progress: bool = False) -> dict[str, Path]:
    """Return the path of each role's file, whole; download what is missing.

    Args:
        checkpoint: the row.
        progress: draw progress bars of downloads on standard error.

    Raises:
        WeightsError: a file is missing and cannot be had; the message says which and what to type.
    """
    found = {role: find_whole(file) for role, file in checkpoint.files.items()}
    lost = [file for role, file in checkpoint.files.items() if found[role] is None]
    if any(file.is_local for file in lost):
        raise _missing_error(checkpoint, lost, "These files are never downloaded.")
    if lost and is_offline():
        reason = "Downloads are off (GROUNDED_RAM_OFFLINE or HF_HUB_OFFLINE is set)."
        raise _missing_error(checkpoint, lost, reason)
    try:
        return {
            role: found[role] or download(file, progress=progress)
            for role, file in checkpoint.files.items()
        }
    except WeightsError as error:
        raise _missing_error(checkpoint, missing(checkpoint), f"{error}.") from error


def relocate(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Return the same row with its packaged files in a folder: weights just trained, say."""
    files = {
        role: replace(file, source=f"file:{folder / Path(file.source).name}")
        if file.source.startswith("package:")
        else file
        for role, file in checkpoint.files.items()
    }
    return replace(checkpoint, files=files)


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a ``.safetensors`` file or of a PyTorch checkpoint, without running code.

    A top-level "model" and a "module." before every name are taken off; floating-point tensors come
    back as float32.

    Raises:
        WeightsError: the file is absent or damaged, or holds something else than named tensors.
    """
    import torch

    content = _read_tensors(path)
    state = content.get("model", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path} holds no named tensors, but {type(state).__name__}")
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise WeightsError(f"{path} holds other things than tensors: {', '.join(strange[:5])}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }


def _read_tensors(path: Path) -> Any:
    """Read what a file of either kind holds; nothing in it is executed."""
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Files of the older, unzipped kind cannot be mapped into memory.
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # what torch raises on a damaged file has no common base
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error


def _missing_error(checkpoint: Checkpoint, lost: list[WeightFile], reason: str) -> WeightsError:
    lines = [f"  {'damaged' if locate(file) else 'absent'}: {file}" for file in lost]
    local = any(file.is_local for file in lost)
    advice = (
        "Reinstall the package that brings them"
        if local
        else f"Type `grounded-ram download {checkpoint.name}` where there is a network"
    )
    return WeightsError(
        "\n".join(
            [
                f"the weights of {checkpoint.name!r} are not all here:",
                *lines,
                reason,
                f'{advice}, or use preset="tiny" (--preset tiny), which is part of this package.',
            ]
        )
    )


def _packaged(path: str) -> WeightFile:
    return WeightFile(name=path.replace("/", "-"), source=f"package:{path}")


_BERT_VOCABULARY = WeightFile(
    name="bert-base-uncased-vocab.txt",
    source="hf://google-bert/bert-base-uncased@main/vocab.txt",
    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    size=231_508,
)

_RAM_DATA = (
    "https://raw.githubusercontent.com/xinyu1205/recognize-anything/"
    "7cb804a8609e9f4b1a50b7f31436d2df40bb9481/ram/data/"
)
_DINO_RELEASES = "https://github.com/IDEA-Research/GroundingDINO/releases/download/"
_SAM_FILES = "https://dl.fbaipublicfiles.com/segment_anything/"


def _tiny(name: str, summary: str, stem: str, **others: str) -> Checkpoint:
    names = {"weights": f"{stem}.safetensors", "config": f"{stem}.json", **others}
    files = {role: _packaged(f"tiny/{file}") for role, file in names.items()}
    return Checkpoint(name=name, summary=summary, licence="Apache-2.0", files=files)


def _official(name: str, summary: str, config: str, **files: WeightFile) -> Checkpoint:
    return Checkpoint(
        name=name,
        summary=summary,
        licence="Apache-2.0",
        files={**files, "config": _packaged(f"configs/{config}")},
    )


_ROWS = (
    _tiny("ram:tiny", "RAM for picture-book scenes, trained by this package", "ram"),
    _tiny(
        "grounding-dino:tiny",
        "Grounding-DINO for picture-book scenes, trained by this package",
        "grounding_dino",
        vocab="vocab.txt",
    ),
    _tiny("sam:tiny", "SAM for picture-book scenes, trained by this package", "sam"),
    _official(
        "ram:swin-l",
        "RAM, Swin-L at 384 pixels, 4585 tags",
        "ram_swin_l.json",
        weights=WeightFile(
            name="ram_swin_large_14m.pth",
            source="hf://xinyu1205/recognize_anything_model@main/ram_swin_large_14m.pth",
            sha256="15c729c793af28b9d107c69f85836a1356d76ea830d4714699fb62e55fcc08ed",
            size=5_625_634_877,
        ),
        tags=WeightFile(
            name="ram_tag_list.txt",
            source=_RAM_DATA + "ram_tag_list.txt",
            sha256="5d96d2f7225527480ad773aaac76b6e5c08a18adf6eae9ca7d2ab923d5e7bd8b",
            size=41_904,
        ),
        thresholds=WeightFile(
            name="ram_tag_list_threshold.txt",
            source=_RAM_DATA + "ram_tag_list_threshold.txt",
            sha256="b6f81d0de1bc7f9c251af512c413eae976c77dbfbadf700d4e3d90510f4c6447",
            size=22_016,
        ),
    ),
    _official(
        "grounding-dino:swin-t",
        "Grounding-DINO, Swin-T",
        "grounding_dino_swin_t.json",
        vocab=_BERT_VOCABULARY,
        weights=WeightFile(
            name="groundingdino_swint_ogc.pth",
            source=_DINO_RELEASES + "v0.1.0-alpha/groundingdino_swint_ogc.pth",
            sha256="3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
            size=693_997_677,
        ),
    ),
    _official(
        "grounding-dino:swin-b",
        "Grounding-DINO, Swin-B",
        "grounding_dino_swin_b.json",
        vocab=_BERT_VOCABULARY,
        weights=WeightFile(
            name="groundingdino_swinb_cogcoor.pth",
            source=_DINO_RELEASES + "v0.1.0-alpha2/groundingdino_swinb_cogcoor.pth",
            sha256="46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
            size=938_057_991,
        ),
    ),
    _official(
        "sam:vit-b",
        "SAM, ViT-B",
        "sam_vit_b.json",
        weights=WeightFile(
            name="sam_vit_b_01ec64.pth",
            source=_SAM_FILES + "sam_vit_b_01ec64.pth",
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
    ),
    _official(
        "sam:vit-l",
        "SAM, ViT-L",
        "sam_vit_l.json",
        weights=WeightFile(
            name="sam_vit_l_0b3195.pth",
            source=_SAM_FILES + "sam_vit_l_0b3195.pth",
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
    ),
    _official(
        "sam:vit-h",
        "SAM, ViT-H",
        "sam_vit_h.json",
        weights=WeightFile(
            name="sam_vit_h_4b8939.pth",
            source=_SAM_FILES + "sam_vit_h_4b8939.pth",
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            size=2_564_550_879,
        ),
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {row.name: row for row in _ROWS}
"""Our checkpoints by backend name."""
