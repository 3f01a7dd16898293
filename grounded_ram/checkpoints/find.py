"""The row of a name, and the same row with other files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from grounded_ram import plugins
from grounded_ram.checkpoints import authors, repositories
from grounded_ram.checkpoints.checkpoint import Checkpoint
from grounded_ram.checkpoints.repositories import at_revision, hub_checkpoint
from grounded_ram.downloads import WeightFile
from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name

CHECKPOINTS: dict[str, Checkpoint] = {row.name: row for row in (*authors.ROWS, *repositories.ROWS)}
"""Our checkpoints by backend name."""

TRAINED_FILES = {
    "weights": "weights.safetensors",
    "config": "config.json",
    "vocab": "vocab.txt",
}
"""Files of a training's result by role; one that writes no text has no "vocab"."""

GROUP = "grounded_ram.checkpoints"
"""Entry points by which other packages add rows: the backend's name, and a Checkpoint."""


def find_checkpoint(name: str) -> Checkpoint:
    """Return the row of a backend name: from our table, from an installed package, or of the hub.

    Args:
        name: such as "sam:vit-b"; or "adapter:owner/repo@revision", see ``hub_checkpoint``.

    Raises:
        UnknownNameError: no row has that name.
        InputError: it names a repository in another way.
        MissingDependencyError: the package that brings the row is broken.
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    points = plugins.installed(GROUP)
    if name in points:
        row: Checkpoint = plugins.load(points[name])
        return row
    if "/" in name:
        unlisted, pinned = hub_checkpoint(name), CHECKPOINTS.get(name.partition("@")[0])
        return unlisted if pinned is None else at_revision(pinned, name)
    raise unknown_name("checkpoint", name, [*CHECKPOINTS, *points])


def relocate(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Return the same row with its packaged files in a folder: weights just trained, say."""
    packaged = {
        role: folder / Path(file.source).name
        for role, file in checkpoint.files.items()
        if file.source.startswith("package:")
    }
    return _with_paths(checkpoint, packaged)


def with_own_files(checkpoint: Checkpoint, paths: Mapping[str, Path]) -> Checkpoint:
    """Return the same row with files of the user's own in some roles.

    Args:
        checkpoint: a row.
        paths: by role. For "weights" it may be the folder of a training, whose files then take the
            place of all that the row has.

    Raises:
        UnknownNameError: it has no such role.
        InputError: there is no such file, or the folder is of no training.
    """
    given = dict(paths)
    if given.get("weights", Path()).is_dir() and "weights" in given:
        checkpoint = _trained(checkpoint, given.pop("weights"))
    for role, path in given.items():
        if role not in checkpoint.files:
            raise unknown_name(f"file of {checkpoint.name!r}", role, checkpoint.files)
        if not path.is_file():
            raise InputError(f"there is no file {str(path)!r} to be the {role} of a backend")
    return _with_paths(checkpoint, given)


def _trained(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Return a row whose files are those that a training wrote into a folder."""
    paths = {role: folder / name for role, name in TRAINED_FILES.items()}
    here = {role: path for role, path in paths.items() if path.is_file()}
    if not {"weights", "config"} <= here.keys():
        raise InputError(
            f'{str(folder)!r}: expected the folder "model" of a training, with '
            f"{TRAINED_FILES['weights']} and {TRAINED_FILES['config']} in it; make one: "
            "grounded-ram train PICTURES -o FOLDER"
        )
    return _with_paths(replace(checkpoint, files={}), here)


def _with_paths(checkpoint: Checkpoint, paths: Mapping[str, Path]) -> Checkpoint:
    own = {
        role: WeightFile(name=path.name, source=f"file:{path.absolute()}")
        for role, path in paths.items()
    }
    return replace(checkpoint, files={**checkpoint.files, **own})
