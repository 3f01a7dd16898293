"""A training run on the disk: weights, optimisers and step in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from grounded_ram.disk import put_in_place
from grounded_ram.errors import InputError

_FACTS = "grounded_ram"
"""The key of the file's metadata under which all that is no tensor is written, as JSON."""


def save_state(
    path: Path,
    modules: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    facts: Mapping[str, Any],
) -> None:
    """Write everything that a run needs to go on: whole, or not at all.

    Args:
        path: of the file; one that lies there is replaced.
        modules: their parameters, each once whatever its names, and their buffers.
        optimizers: over those parameters.
        facts: plain JSON values, such as the step.

    Raises:
        OSError: it cannot be written; the disk may be full.
    """
    tensors = dict(_of_modules(modules))
    settings = []
    for number, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        settings.append(state["param_groups"])
        tensors |= dict(_of_optimizer(number, state["state"]))
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.part")
    words = json.dumps({"optimizers": settings, "facts": dict(facts)})
    try:
        save_file(kept, draft, metadata={_FACTS: words})
        put_in_place(draft, path)
    except SafetensorError as error:
        raise OSError(f"{str(path)!r} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def load_state(
    path: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put what ``save_state`` wrote back in place, and return its facts.

    Raises:
        InputError: the file is damaged, or of a run with other networks or optimisers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})[_FACTS])
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} holds no state of a training run, or is damaged: {error}. Delete it to "
            "begin anew"
        ) from error
    _put_into_modules(path, modules, kept)
    if len(told["optimizers"]) != len(optimizers):
        raise _another_run(path)
    for number, (optimizer, groups) in enumerate(zip(optimizers, told["optimizers"], strict=True)):
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in kept.items():
            kind, _, rest = name.partition("/")
            if kind == f"optimizer{number}":
                row, _, key = rest.partition("/")
                state.setdefault(int(row), {})[key] = value
        try:
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        except ValueError as error:
            raise _another_run(path) from error
    facts: dict[str, Any] = told["facts"]
    return facts


def _of_modules(modules: nn.Module) -> Iterable[tuple[str, Tensor]]:
    for name, parameter in modules.named_parameters():
        yield f"parameter/{name}", parameter
    for name, buffer in modules.named_buffers():
        yield f"buffer/{name}", buffer


def _of_optimizer(
    number: int, state: Mapping[int, Mapping[str, Any]]
) -> Iterable[tuple[str, Tensor]]:
    for row, values in state.items():
        for key, value in values.items():
            yield f"optimizer{number}/{row}/{key}", torch.as_tensor(value)


def _put_into_modules(path: Path, modules: nn.Module, kept: Mapping[str, Tensor]) -> None:
    ours = dict(_of_modules(modules))
    shapes = {name: value.shape for name, value in ours.items()}
    theirs = {name: value.shape for name, value in kept.items() if not name.startswith("optimizer")}
    if shapes != theirs:
        raise _another_run(path)
    with torch.no_grad():
        for name, value in ours.items():
            value.copy_(kept[name])


def _another_run(path: Path) -> InputError:
    return InputError(
        f"{str(path)!r} is the state of a run with other networks or settings; choose another "
        "folder, or delete it to begin anew"
    )
