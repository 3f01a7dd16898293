"""What a retriever saw of pictures, kept in a file, so that they need not be looked at again.

A safetensors file: directions and tokens, and in its metadata which model saw which pictures. A
picture is known by its path, size and time of change; by its address, if it has one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from grounded_ram.cache import known_sha256
from grounded_ram.disk import put_in_place
from grounded_ram.errors import InputError
from grounded_ram.tagging.retrieval import ImageEmbeddings

_FACTS = "grounded_ram_pictures"
"""The key of the file's metadata that has the model and the pictures, as JSON."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures that a model has looked at.

    Args:
        keys: N names of pictures as they were then, see ``key_of``, each once.
        images: N embeddings.
    """

    keys: tuple[str, ...]
    images: ImageEmbeddings

    def of(self, keys: Sequence[str]) -> ImageEmbeddings:
        """Return the embeddings of some of them, in the order given.

        Raises:
            KeyError: one was not seen.
        """
        if tuple(keys) == self.keys:
            return self.images  # from the file, as far as it is needed
        places = {key: row for row, key in enumerate(self.keys)}
        rows = [places[key] for key in keys]
        return ImageEmbeddings(
            self.images.directions[rows],
            self.images.tokens[rows],
            tuple(self.images.tags[row] for row in rows),
        )

    def with_more(self, keys: Sequence[str], parts: Sequence[ImageEmbeddings]) -> Seen:
        """Return these and further ones, which take the place of what their files showed before."""
        new = {_path_of(key) for key in keys}
        kept = tuple(key for key in self.keys if _path_of(key) not in new)
        every = [self.of(kept), *parts]
        return Seen(
            (*kept, *keys),
            ImageEmbeddings(
                np.concatenate([one.directions for one in every]),
                torch.cat([one.tokens for one in every]),
                tuple(tags for one in every for tags in one.tags),
            ),
        )


def key_of(source: str) -> str:
    """Return what a picture is known by: another one if its file is changed.

    Raises:
        OSError: there is no such file.
    """
    if "://" in source:
        return json.dumps([source])
    path = Path(source).absolute()
    found = path.stat()
    return json.dumps([str(path), found.st_size, found.st_mtime_ns])


def _path_of(key: str) -> str:
    return str(json.loads(key)[0])


def digest_of(files: Mapping[str, Path], dtype: torch.dtype) -> str:
    """Return what a model is known by, of its files by role and the number type that it runs in."""
    parts = [f"{role} {known_sha256(path)}" for role, path in sorted(files.items())]
    return hashlib.sha256("\n".join([*parts, str(dtype)]).encode()).hexdigest()


def write_seen(seen: Seen, model: str, path: Path) -> None:
    """Write what was seen, whole or not at all.

    Args:
        seen: pictures; what tags they have is not written.
        model: its digest.
        path: of the file; one that lies there is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    directions = torch.from_numpy(np.ascontiguousarray(seen.images.directions))
    tensors = {"directions": directions, "tokens": seen.images.tokens.contiguous()}
    facts = json.dumps({"model": model, "pictures": seen.keys})
    try:
        save_file(tensors, draft, metadata={_FACTS: facts})
        put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_seen(path: Path, model: str, none: ImageEmbeddings) -> tuple[Seen, bool]:
    """Return what a model has seen, and whether the file is of another model.

    Args:
        path: of the file; there may be none yet.
        model: its digest.
        none: the model's embeddings of no pictures, which say what shapes there must be.

    Returns:
        The pictures, none of them if the file is not there or of another model.

    Raises:
        InputError: the file is something else, or damaged.
    """
    if not path.exists():
        return Seen((), none), False
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[_FACTS])
            if facts["model"] != model:
                return Seen((), none), True
            keys = tuple(_checked(facts["pictures"]))
            directions, tokens = file.get_tensor("directions"), file.get_tensor("tokens")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} is no index of pictures, or is damaged; name another file, or delete it"
        ) from error
    shapes = ((len(keys), none.directions.shape[1]), (len(keys), *none.tokens.shape[1:]))
    fits = (tuple(directions.shape), tuple(tokens.shape)) == shapes
    if not fits or directions.dtype != torch.float32 or tokens.dtype != none.tokens.dtype:
        raise InputError(f"{str(path)!r}: its pictures and their numbers do not fit; delete it")
    tags = (frozenset[str](),) * len(keys)
    return Seen(keys, ImageEmbeddings(directions.numpy(), tokens, tags)), False


def _checked(keys: Iterable[object]) -> list[str]:
    """Return keys, if they are such, each once."""
    found = [str(key) for key in keys]
    if len(set(found)) < len(found) or not all(_path_of(key) for key in found):
        raise ValueError
    return found
