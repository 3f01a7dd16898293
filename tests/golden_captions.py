"""The golden Tag2Text and RAM as the files of a checkpoint, for tests of what writes captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.model import RAM
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.tagging.captions import read_text
from grounded_ram.tagging.ram import read_ram
from grounded_ram.tagging.tag2text import read_tag2text
from tests.golden_sizes import tagging_sizes


def read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def tag2text_files(golden: Path, folder: Path, **changes: Any) -> dict[str, Path]:
    """Write the config and the tag list; ``changes`` go into the config."""
    case = read_json(golden / "tag2text" / "config.json")
    thresholds = {str(i): t for i, t in enumerate(case["class_threshold"]) if t > 0.69}
    settings = {
        "model": tagging_sizes(case),
        "text": _text(case),
        "tags": {
            "threshold": 0.68,
            "thresholds": thresholds,
            "kinds": {"0": "unjudged", "17": "action", "19": "attribute"},
            "dropped": [],
        },
    }
    files = _files(golden / "tag2text", folder, settings | changes)
    files["tags"] = folder / "tags.txt"
    # The official list ends without a line break.
    files["tags"].write_text("\n".join(case["tag_list"]), "utf-8")
    return files


def ram_files(golden: Path, folder: Path, **changes: Any) -> dict[str, Path]:
    """Write the config; ``changes`` go into it."""
    case = read_json(golden / "ram_tagging" / "config.json")
    rows = zip(case["tag_list"], case["class_threshold"], strict=True)
    more = {"image_proj_dim": 512, "label_dim": case["label_embed_dim"]}
    settings = {
        "model": tagging_sizes(case) | more,
        "text": _text(case),
        "tags": [{"name": n, "kind": "object", "threshold": t} for n, t in rows],
    }
    return _files(golden / "ram_tagging", folder, settings | changes)


def golden_tag2text(
    golden: Path, folder: Path
) -> tuple[Tag2Text, CaptionNetworks, CaptionTokenizer]:
    files = tag2text_files(golden, folder)
    network, _, _ = read_tag2text(files, "golden")
    return network.eval(), *_read_text(network, files)


def golden_ram(golden: Path, folder: Path) -> tuple[RAM, CaptionNetworks, CaptionTokenizer]:
    files = ram_files(golden, folder)
    network, _ = read_ram(files, "golden")
    return network.eval(), *_read_text(network, files)


def _read_text(
    network: RAM | Tag2Text, files: dict[str, Path]
) -> tuple[CaptionNetworks, CaptionTokenizer]:
    text, tokenizer = read_text(network, files, "golden")
    return text.eval(), tokenizer


def _files(case: Path, folder: Path, settings: dict[str, Any]) -> dict[str, Path]:
    config = folder / "config.json"
    config.write_text(json.dumps(settings), "utf-8")
    weights = case / "state_dict.safetensors"
    return {"weights": weights, "config": config, "vocab": case / "vocab.txt"}


def _text(case: dict[str, Any]) -> dict[str, Any]:
    text = case["med_config"]
    return {
        "vocab_size": text["vocab_size"],
        "max_positions": text["max_position_embeddings"],
        "layers": text["num_hidden_layers"],
        "heads": text["num_attention_heads"],
    }
