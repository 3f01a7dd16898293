"""The README is executed: its Python blocks, and its shell blocks that call our command."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import Labelling

README = Path(__file__).parents[1] / "README.md"
NEEDS_A_RUN = re.compile(r"grounded-ram (export|convert|report|clean) run\b")
PICTURE = "grounded-ram-demo/scene-1.png"
"""The picture that README blocks speak of; every block finds it in its folder."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the line of its fence."""

    language: str
    text: str
    line: int


def read_blocks(text: str) -> list[Block]:
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in fences]


def calls_our_command(block: Block) -> bool:
    return block.language == "sh" and block.text.startswith("grounded-ram ")


BLOCKS = read_blocks(README.read_text("utf-8"))
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if calls_our_command(block)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with drawn scenes in it, told about, and our command as the README spells it."""
    from PIL import Image

    from grounded_ram.scenes.scene import make_scene

    picture = tmp_path / PICTURE
    picture.parent.mkdir()
    Image.fromarray(make_scene(7).image).save(picture)
    (tmp_path / "photos").mkdir()
    tags, captions = ["image,tags"], ["image,caption"]
    for seed in range(4):
        Image.fromarray(make_scene(seed, size=96).image).save(tmp_path / f"photos/{seed}.png")
        tags.append(f"photos/{seed}.png,{'dog|red ball' if seed % 2 else 'dog'}")
        captions.append(f"photos/{seed}.png,A dog with a red ball.")
    (tmp_path / "photos.csv").write_text("\n".join(tags) + "\n")
    (tmp_path / "captions.csv").write_text("\n".join(captions) + "\n")
    script = tmp_path / "bin" / "grounded-ram"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grounded_ram "$@"\n')
    script.chmod(0o755)
    return tmp_path


def run(command: list[str], folder: Path) -> None:
    here = os.environ
    environment = {
        **here,
        "GROUNDED_RAM_PRESET": "tiny",
        "PATH": f"{folder / 'bin'}{os.pathsep}{here['PATH']}",
        "PYTHONPATH": str(README.parent),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_readme_opens_with_the_two_commands() -> None:
    first, second = BLOCKS[:2]
    assert (first.language, second.language) == ("sh", "sh")
    assert first.text == "pip install . && grounded-ram demo\n"
    assert "pytest" in second.text


def test_no_shell_block_goes_unread() -> None:
    """Beyond the two commands, every shell block must be one that runs here."""
    shell = [block for block in BLOCKS[2:] if block.language in {"sh", "bash", "shell", "console"}]
    assert shell == SHELL


def test_there_is_something_to_run() -> None:
    assert PYTHON
    assert SHELL


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line-{block.line}")
def test_python_blocks_run(block: Block, folder: Path) -> None:
    run([sys.executable, "-c", block.text], folder)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"line-{block.line}")
def test_shell_blocks_run(block: Block, folder: Path) -> None:
    if NEEDS_A_RUN.match(block.text):
        run(["sh", "-e", "-c", labelling().text], folder)
    run(["sh", "-e", "-c", block.text], folder)


def labelling() -> Block:
    """Return the block that labels a dataset, on whose run other blocks go on."""
    (found,) = [block for block in SHELL if block.text.startswith("grounded-ram label ")]
    return found


def test_every_preset_has_its_row_in_the_table() -> None:
    from grounded_ram.presets import PRESETS

    row = re.compile(
        r"^\| `(\w+)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \| (.+?) \| (.+?) GB \|", re.MULTILINE
    )
    rows = row.findall(README.read_text("utf-8"))
    assert rows == [
        (
            *(p.name, p.tagger, p.detector, p.segmenter),
            f"{p.disk_gb} GB" if p.disk_gb else "in the package",
            f"{p.memory_gb}",
        )
        for p in PRESETS.values()
    ]


def test_blocks_are_found_with_their_lines() -> None:
    text = "# T\n\n```python\na = 1\n```\n\ntext\n\n```sh\ngrounded-ram demo\n```\n"
    found = read_blocks(text)
    assert [(b.language, b.text, b.line) for b in found] == [
        ("python", "a = 1\n", 3),
        ("sh", "grounded-ram demo\n", 9),
    ]
    assert [calls_our_command(b) for b in found] == [False, True]


def test_the_examples_of_a_vocabulary_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.yaml"
    set_there: list[set[str]] = []
    for block in [block for block in BLOCKS if block.language == "yaml"]:
        path.write_text(block.text, encoding="utf-8")
        edits = read_edits(path)
        usual = vars(Edits())
        set_there.append({part for part, value in vars(edits).items() if value != usual[part]})
        Labelling((), edits)
    assert set_there == [set(vars(Edits())) - {"allow", "ask"}, {"classes"}]
