"""Small networks of the RAM family in the files of a training, and pictures to learn from."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.ram.alignment import Alignment, AlignmentConfig
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from grounded_ram.training.networks import Networks
from grounded_ram.training.objectives import Network
from grounded_ram.training.trained import fitted_table, write_model

SWIN = {
    "image_size": 32,
    "patch_size": 4,
    "window": 4,
    "embed_dim": 8,
    "depths": (1, 1),
    "heads": (1, 2),
    "head_width": 16,
    "head_heads": 2,
    "head_ffn": 32,
    "dropout": 0.1,
}
LABELS = {"image_proj_dim": 16, "label_dim": 16}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "|", ".", "a", "picture", "of", "red")
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


def write_words(folder: Path) -> Path:
    path = folder / "words.txt"
    words = (*WORDS, "green", "blue", "and", "square", "nothing")
    path.write_text("\n".join(words) + "\n", encoding="utf-8")
    return path


def small_networks(
    folder: Path, adapter: str, tags: tuple[str, ...], *, dropout: bool = True
) -> Networks:
    """Random networks: RAM and Tag2Text with all that they can have."""
    torch.manual_seed(0)
    swin = SWIN if dropout else SWIN | {"dropout": 0.0, "drop_path": 0.0}
    count = len(tags)
    network: Network
    if adapter == "ram-plus":
        network = RAMPlus(RAMPlusConfig(num_tags=count, descriptions=3, **swin, **LABELS))
        return Networks(adapter=adapter, network=network, tags=tags)
    if adapter == "tag2text":
        network = Tag2Text(Tag2TextConfig(num_tags=count, **swin))
    else:
        network = RAM(RAMConfig(num_tags=count, **swin, **LABELS))
    vocab = write_words(folder)
    tokenizer = CaptionTokenizer(vocab)
    sizes = TextConfig(vocab_size=len(tokenizer), max_positions=64, layers=2, heads=2)
    head = network.config.head_sizes()
    text = CaptionNetworks(sizes, head, network.tagging_head)
    alignment = None
    if adapter == "tag2text":
        alignment = Alignment(AlignmentConfig(dim=8), sizes, head, text.text_decoder)
    return Networks(
        adapter=adapter,
        network=network,
        tags=tags,
        text=text,
        alignment=alignment,
        tokenizer=tokenizer,
        vocab=vocab,
    )


def small_model(
    folder: Path,
    adapter: str = "ram",
    tags: tuple[str, ...] = ("red", "cat"),
    *,
    dropout: bool = True,
) -> Path:
    """Write such networks as a training does, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    networks = small_networks(folder, adapter, tags, dropout=dropout)
    none = np.zeros((0, len(tags)))
    table = fitted_table(tags, none.astype(np.float32), none.astype(bool))
    write_model(networks, table, folder / "model")
    return folder / "model"


def coloured_pictures(folder: Path, count: int) -> list[Example]:
    """Pictures of one or two squares, with their colours as tags and a caption."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    examples = []
    for number in range(count):
        names = [name for name in COLOURS if rng.random() < 0.5]
        pixels = np.full((40, 36, 3), 90 + 2 * number % 70, np.uint8)
        for place, name in enumerate(names):
            top = 2 + 12 * place
            pixels[top : top + 11, 4:30] = COLOURS[name]
        path = folder / f"{number:03}.png"
        Image.fromarray(pixels).save(path)
        text = " and ".join(f"a {name} square" for name in names)
        captions = (Caption(text, tuple(names)),) if names else ()
        examples.append(Example(str(path), tuple(names), captions))
    return examples
