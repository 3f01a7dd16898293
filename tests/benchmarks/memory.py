"""Memory that presets need: python tests/benchmarks/memory.py FOLDER [PRESET...].

Writes files of random weights, of the official sizes, into FOLDER (17 GB for all presets), then
loads each preset from them in a process of its own and annotates one picture of 1920 x 1080 with
30 tags on the CPU, in float32. The peak counts what is mapped of the files. Official files hold
more than is read of them, which is never mapped and takes no memory.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from grounded_ram.detection.grounding_dino import DetectorConfig
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.downloads import ASSETS
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.presets import PRESETS
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.segmentation.sam import SAMConfig, build_sam

TAGS = 30
SWIN_L = {
    **{"model_type": "swin", "embed_dim": 192, "depths": [2, 2, 18, 2], "window_size": 12},
    **{"num_heads": [6, 12, 24, 48], "out_features": ["stage1", "stage2", "stage3", "stage4"]},
}
VIT_H = {
    **{"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "mlp_dim": 5120},
    "global_attn_indexes": [7, 15, 23, 31],
}


def packaged(name: str) -> dict[str, object]:
    return json.loads((ASSETS / "configs" / f"{name}.json").read_text("utf-8"))


def llmdet_large() -> torch.nn.Module:
    config = transformers.MMGroundingDinoConfig(backbone_config=SWIN_L, num_feature_levels=5)
    return transformers.MMGroundingDinoForObjectDetection(config)


def sam_hq_huge() -> torch.nn.Module:
    config = transformers.SamHQConfig(
        vision_config=VIT_H, mask_decoder_config={"vit_dim": VIT_H["hidden_size"]}
    )
    return transformers.SamHQModel(config)


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "ram:swin-l": lambda: RAM(RAMConfig()),
    "ram-plus:swin-l": lambda: RAMPlus(RAMPlusConfig()),
    "grounding-dino:swin-t": lambda: GroundingDINO(
        DetectorConfig.from_dict(packaged("grounding_dino_swin_t")).model
    ),
    "transformers:iSEE-Laboratory/llmdet_large": llmdet_large,
    "sam:vit-b": lambda: build_sam(SAMConfig.from_dict(packaged("sam_vit_b")["model"])),
    "sam:vit-h": lambda: build_sam(SAMConfig.from_dict(packaged("sam_vit_h")["model"])),
    "sam-hq:syscv-community/sam-hq-vit-huge": sam_hq_huge,
}


def write_weights(folder: Path, backend: str) -> dict[str, Path]:
    """Write a network's random weights, and its config if transformers made it."""
    torch.manual_seed(0)
    network = NETWORKS[backend]()
    stem = folder / backend.replace(":", "-").replace("/", "-")
    if isinstance(network, transformers.PreTrainedModel):
        config = stem.with_suffix(".json")
        config.write_text(network.config.to_json_string())
        weights = stem.with_suffix(".safetensors")
        names = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file({key: value.clone() for key, value in names.items()}, weights)
        return {"weights": weights, "config": config}
    weights = stem.with_suffix(".pth")
    torch.save(network.state_dict(), weights)
    return {"weights": weights}


def write_lists(folder: Path) -> dict[str, Path]:
    """Write a vocabulary of BERT's size, and tags of which thirty are always seen."""
    words = [f"word{i}" for i in range(30522)]
    for place, token in {
        **{0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"},
        **{1012: ".", 1029: "?"},
    }.items():
        words[place] = token
    texts = {
        "vocab": words,
        "tags": words[2000:6585],
        "thresholds": ["0"] * TAGS + ["1"] * (4585 - TAGS),
    }
    for role, lines in texts.items():
        (folder / f"{role}.txt").write_text("\n".join(lines))
    return {role: folder / f"{role}.txt" for role in texts}


def files_of(folder: Path, preset: str) -> dict[str, Path]:
    """Write what is not there yet, in a process that ends: this one's memory is not measured."""
    row, lists = PRESETS[preset], write_lists(folder)
    files = {}
    for stage, backend in (
        ("tagger", row.tagger),
        ("detector", row.detector),
        ("segmenter", row.segmenter),
    ):
        marker = folder / f"{backend.replace(':', '-').replace('/', '-')}.paths"
        if not marker.exists():
            written = write_weights(folder, backend)
            marker.write_text(json.dumps({role: str(path) for role, path in written.items()}))
        roles = json.loads(marker.read_text())
        files |= {f"{stage}.{role}": path for role, path in roles.items()}
    files |= {f"tagger.{role}": lists[role] for role in ("tags", "thresholds")}
    return files | {"detector.vocab": lists["vocab"]}


def measure(folder: Path, preset: str) -> None:
    """Annotate once and print what it took."""
    files = {} if preset == "tiny" else json.loads((folder / f"{preset}.json").read_text())
    options = {} if preset == "tiny" else {"weights": files, "box_threshold": 0.0, "nms_iou": 0.1}
    picture = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    start = time.process_time()
    found = GroundedRAM(preset, device="cpu", **options).annotate(picture)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    on_disk = sum(Path(path).stat().st_size for path in files.values())
    print(
        f"{preset:9} files {on_disk / 1e9:5.2f} GB   peak memory {peak / 1e9:5.2f} GB   "
        f"{len(found.tags)} tags, {len(found.detections)} objects   "
        f"{time.process_time() - start:.0f} s of CPU",
        flush=True,
    )


def main() -> None:
    folder, *presets = sys.argv[1:]
    if presets[:1] == ["--one"]:
        measure(Path(folder), presets[1])
        return
    if presets[:1] == ["--write"]:
        files = files_of(Path(folder), presets[1])
        text = json.dumps({role: str(path) for role, path in files.items()})
        (Path(folder) / f"{presets[1]}.json").write_text(text)
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for preset in presets or PRESETS:
        for step in ("--write", "--one")[preset == "tiny" :]:
            command = [sys.executable, __file__, folder, step, preset]
            subprocess.run(command, check=True, env=os.environ | {"GROUNDED_RAM_OFFLINE": "1"})


if __name__ == "__main__":
    main()
