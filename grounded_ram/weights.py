"""The weights of a checkpoint: what is missing, how to get it, and how to read it."""

from __future__ import annotations

import logging
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.cache import is_offline
from grounded_ram.checkpoints.checkpoint import Checkpoint
from grounded_ram.checkpoints.find import (
    CHECKPOINTS,
    find_checkpoint,
    relocate,
    with_own_files,
)
from grounded_ram.downloads import (
    OnProgress,
    WeightFile,
    download,
    find_whole,
    is_known_absent,
    locate,
)
from grounded_ram.errors import WeightsError

if TYPE_CHECKING:
    import torch

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "OnProgress",
    "WeightFile",
    "fetch",
    "fetch_all",
    "find_checkpoint",
    "load_state_dict",
    "misfit",
    "missing",
    "relocate",
    "with_missing",
    "with_own_files",
]

_HARMLESS = re.compile(r"torch\.(_utils\.|_tensor\.|storage\.)?\w+|collections\.OrderedDict")
"""What a pickle of tensors imports."""

logger = logging.getLogger(__name__)


def missing(checkpoint: Checkpoint) -> list[WeightFile]:
    """Return the files that are absent or damaged; none of those that a repository may lack."""
    files = checkpoint.files.values()
    return [file for file in files if not file.optional and find_whole(file) is None]


def fetch(checkpoint: Checkpoint, *, on_progress: OnProgress | None = None) -> dict[str, Path]:
    """Return the path of each role's file, whole; download what is missing.

    Args:
        checkpoint: the row.
        on_progress: as for ``downloads.download``.

    Returns:
        The paths by role; a role is left out where its file is optional and not there.

    Raises:
        WeightsError: a file is missing and cannot be had; the message says which and what to type.
    """
    here = {role: find_whole(file) for role, file in checkpoint.files.items()}
    lost = [
        file for role, file in checkpoint.files.items() if here[role] is None and not file.optional
    ]
    if any(file.is_local for file in lost):
        raise _missing_error(checkpoint, lost, "These files are never downloaded.")
    if lost and is_offline():
        reason = "Downloads are off (GROUNDED_RAM_OFFLINE or HF_HUB_OFFLINE is set)."
        raise _missing_error(checkpoint, lost, reason)
    if lost and checkpoint.terms:
        logger.warning("%s (%s): %s", checkpoint.name, checkpoint.licence, checkpoint.terms)
    try:
        found = {
            role: here[role] or _get(file, on_progress) for role, file in checkpoint.files.items()
        }
    except WeightsError as error:
        raise _missing_error(checkpoint, missing(checkpoint), f"{error}.") from error
    return {role: path for role, path in found.items() if path is not None}


def fetch_all(checkpoints: Sequence[Checkpoint], *, on_progress: OnProgress | None = None) -> None:
    """Download what is missing of several checkpoints.

    Raises:
        WeightsError: some cannot be had; the message names all that is missing.
    """
    for number, checkpoint in enumerate(checkpoints):
        try:
            fetch(checkpoint, on_progress=on_progress)
        except WeightsError as error:
            raise with_missing(error, checkpoints[number:]) from error.__cause__


def with_missing(error: WeightsError, checkpoints: Sequence[Checkpoint]) -> WeightsError:
    """Return an error about the first of some checkpoints that also names what others lack."""
    lost = {checkpoint.name: missing(checkpoint) for checkpoint in checkpoints[1:]}
    lines = [f"  {name}: {file}" for name, files in lost.items() for file in files]
    if not lines:
        return error
    command = " ".join([checkpoints[0].name, *(name for name, files in lost.items() if files)])
    all_at_once = f"To get all of them at once: `grounded-ram download {command}`"
    return WeightsError("\n".join([f"{error}", "Not here either:", *lines, all_at_once]))


def _get(file: WeightFile, on_progress: OnProgress | None) -> Path | None:
    """Download a file and return where it lies; None for one that its repository lacks."""
    if file.optional and (is_offline() or is_known_absent(file)):
        return None
    try:
        return download(file, on_progress=on_progress)
    except WeightsError:
        if file.optional and is_known_absent(file):  # that is what the download has just learnt
            return None
        raise


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


def misfit(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> str:
    """Say in what tensors are not those that a network expects; nothing where they are.

    Args:
        expected: the network's ``state_dict()``.
        found: the tensors to put into it, by the same names.
    """
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            f"{key} is {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
            for key in expected.keys() & found.keys()
            if expected[key].shape != found[key].shape
        ),
    }
    return "; ".join(
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in wrong.items()
        if keys
    )


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
        code = _code_in(path)
        if code:
            raise WeightsError(
                f"{path} is refused: to read it means to run code that it names, such as {code}, "
                "which weights do not need. If you trust it, save its tensors as .safetensors"
            ) from error
        # Of a pickle that is none, torch says to read it in the way that runs code.
        strange = isinstance(error, pickle.UnpicklingError)
        reason = "" if strange else f"{error}".partition("\n")[0]
        reason = reason or "it is damaged, or no checkpoint"
        raise WeightsError(f"{path} cannot be read as weights: {reason}") from error


def _code_in(path: Path) -> str:
    """Name something that a file's pickles would import and tensors do not need; execute nothing.

    Empty text means that there is no such thing.
    """
    texts: list[str] = []
    with suppress(OSError, ValueError, LookupError, zipfile.BadZipFile):
        for opcode, value, _ in _opcodes(path):
            name = ""
            if opcode.name in {"GLOBAL", "INST"}:
                name = str(value).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                name = ".".join(texts[-2:])
            elif isinstance(value, str):
                texts.append(value)
            if name and not _HARMLESS.fullmatch(name):
                return name
    return ""


def _opcodes(path: Path) -> Iterator[tuple[Any, Any, int | None]]:
    """Yield the steps of every pickle in a file, until there is one no more."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    yield from pickletools.genops(archive.read(name))
        return
    with path.open("rb") as file:
        while True:
            yield from pickletools.genops(file)


def _missing_error(checkpoint: Checkpoint, lost: list[WeightFile], reason: str) -> WeightsError:
    lines = [f"  {'damaged' if locate(file) else 'absent'}: {file}" for file in lost]
    if any(file.source.startswith("package:") for file in lost):
        advice = "Reinstall the package that brings them"
    elif any(file.is_local for file in lost):
        advice = "Name files that are there"
    else:
        advice = f"Type `grounded-ram download {checkpoint.name}` where there is a network"
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
