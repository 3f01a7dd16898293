"""Files of the hub, by huggingface_hub: its cache, its variables (HF_ENDPOINT, HF_TOKEN) hold.

    hf://owner/repo@revision/path          of a model
    hf-space://owner/repo@revision/path    of a space

They lie in the hub's own cache, where other programs find them too. Where GROUNDED_RAM_HOME is set
and none of the hub's variables says where that cache is, it is the folder ``hub`` in there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from grounded_ram.cache import HOME_VARIABLE, cache_folder
from grounded_ram.disk import check_room
from grounded_ram.errors import InputError, WeightsError

SCHEMES = ("hf://", "hf-space://")

_HUB_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
_SOURCE = re.compile(r"hf(-space)?://([^/@]+/[^/@]+)@([^/]+)/(.+)")


def split(source: str) -> dict[str, Any]:
    """Take a source apart, under the names that the hub's functions give the parts.

    Raises:
        InputError: it is written in another way.
    """
    found = _SOURCE.fullmatch(source)
    if not found:
        raise InputError(f"expected hf://owner/repo@revision/path, got {source!r}")
    space, repo, revision, name = found.groups()
    kind = "space" if space else "model"
    return {"repo_id": repo, "filename": name, "revision": revision, "repo_type": kind}


def locate(source: str) -> Path | None:
    """Return where the hub's cache has a file; None where it has not."""
    found = _look_up(source)
    return Path(found) if isinstance(found, str) else None


def is_known_absent(source: str) -> bool:
    """Tell whether the hub has said that a repository has no such file."""
    from huggingface_hub import _CACHED_NO_EXIST

    return _look_up(source) is _CACHED_NO_EXIST


def commit(path: Path) -> str | None:
    """Return the commit that a file of the hub's cache is of; None for any other path."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


def get(source: str, *, size: int | None, quiet: bool) -> Path:
    """Download a file into the hub's cache, in place of what lies there, and return its path.

    Args:
        source: as the top of this module has it.
        size: bytes expected, for which there must be room; None where that is not known.
        quiet: draw none of the hub's progress bars.

    Raises:
        WeightsError: it cannot be had.
        DiskFullError: the disk has too little room.
    """
    from huggingface_hub import hf_hub_download

    if size is not None:
        check_room(folder(), size)
    damaged = locate(source) is not None  # or the hub would hand out the same file again
    try:
        with _no_bars() if quiet else nullcontext():
            path = hf_hub_download(**split(source), cache_dir=folder(), force_download=damaged)
    except Exception as error:  # the libraries beneath name no common base
        raise WeightsError(_explain(error, source)) from error
    return Path(path)


def folder() -> Path:
    """Return the folder of the hub's cache."""
    from huggingface_hub import constants

    if os.environ.get(HOME_VARIABLE) and not any(map(os.environ.get, _HUB_VARIABLES)):
        return cache_folder() / "hub"
    return Path(constants.HF_HUB_CACHE)


def _look_up(source: str) -> object:
    from huggingface_hub import try_to_load_from_cache

    return try_to_load_from_cache(**split(source), cache_dir=folder())


@contextmanager
def _no_bars() -> Iterator[None]:
    """Draw none of the hub's own progress bars meanwhile."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _explain(error: Exception, source: str) -> str:
    """Say in one line why the hub gave nothing, and what to do where the terms must be accepted."""
    from huggingface_hub import constants
    from huggingface_hub.utils import GatedRepoError  # type: ignore[attr-defined]

    causes = [error, error.__cause__ or error]
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        page = f"{constants.ENDPOINT}/{split(source)['repo_id']}"
        return (
            f"its owners ask you to accept their terms first: do so on {page}, "
            "then type `hf auth login` (or set HF_TOKEN) and try again"
        )
    return ": ".join(dict.fromkeys(" ".join(str(cause).split()) for cause in causes))
