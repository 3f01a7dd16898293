"""Tag2Text as a tagger and captioner: its checkpoints, and what they say of their tags."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from grounded_ram.tagging.captions import CaptioningTagger, read_text
from grounded_ram.tagging.ram import load_weights, table_of_rows
from grounded_ram.tagging.table import TagTable, judged
from grounded_ram.weights import Checkpoint, fetch, load_state_dict


def load_tag2text(
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    dropped: Collection[int] | None = None,
) -> CaptioningTagger:
    """Load a Tag2Text checkpoint, to tag and to write captions.

    Args:
        checkpoint: its row.
        device: where the networks run.
        dtype: float32, or a shorter type to run under autocast.
        dropped: tags that are never seen, by their number in the checkpoint's list; None means
            those that its config names.

    Raises:
        InputError: the list has no such number.
        WeightsError: a file is absent or damaged, or the files do not fit one another.
    """
    files, name = fetch(checkpoint), checkpoint.name
    network, table, unwanted = read_tag2text(files, name)
    if dropped is not None:
        unwanted = dropped
    if strange := sorted(set(unwanted) - set(range(len(table)))):
        raise InputError(f"dropped: {name} has tags 0 to {len(table) - 1}, got {strange}")
    rows = [i for i in range(len(table)) if i not in unwanted]
    text, tokenizer = read_text(network, files, name)
    return CaptioningTagger(
        network,
        table.take(rows),
        text,
        tokenizer,
        queries=network.label_queries()[rows],
        device=device,
        dtype=dtype,
    )


def read_tag2text(
    files: Mapping[str, Path], name: str
) -> tuple[Tag2Text, TagTable, Collection[int]]:
    """Read the tagging half of a checkpoint called ``name``, and its tags.

    Args:
        files: "weights"; "config", a JSON object with "model", the sizes, and "tags": a list of
            objects, as RAM's config has it; or, with a file "tags" of the names, one a line: a
            "threshold" for all but some, which have their own in "thresholds" by their number;
            "kinds", each by the number that it begins at, in order; the numbers of those that are
            "dropped".
        name: for messages.

    Returns:
        The network, all of its tags, and the numbers of those that are best never asked for.

    Raises:
        WeightsError: a file is damaged, or the files do not fit one another.
    """
    try:
        settings = json.loads(files["config"].read_text("utf-8"))
        config = Tag2TextConfig.from_dict(settings["model"])
        table, dropped = _read_tags(settings["tags"], files)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{name}: its config or tag list cannot be used: {reason}") from error
    if len(table) != config.num_tags:
        raise WeightsError(f"{name}: the network has {config.num_tags} tags, its list {len(table)}")
    network = Tag2Text(config)
    load_weights(network, load_state_dict(files["weights"]), name)
    return network, table, dropped


def _read_tags(facts: Any, files: Mapping[str, Path]) -> tuple[TagTable, Collection[int]]:
    """Return the tags, and the numbers of those that are best never asked for."""
    if isinstance(facts, list):
        return table_of_rows(facts), ()
    names = files["tags"].read_text("utf-8").splitlines()
    return _read_table(names, facts), frozenset(facts["dropped"])


def _read_table(names: Sequence[str], facts: Mapping[str, Any]) -> TagTable:
    """Put together what a config says of the tags in a list."""
    thresholds = np.full(len(names), facts["threshold"], np.float32)
    for number, threshold in facts["thresholds"].items():
        thresholds[int(number)] = threshold
    kinds = [""] * len(names)
    for number, kind in facts["kinds"].items():
        kinds[int(number) :] = [kind] * (len(names) - int(number))
    return TagTable(tuple(names), judged(names, kinds), thresholds)
