"""The README is executed: its Python blocks, and its shell blocks that call our command.

What it says besides is held to the source: commands, options, messages, presets, links.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import numpy as np
import PIL.Image
import pytest
import typer

from grounded_ram.cli.root import app
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import Labelling

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
TEXT = README.read_text("utf-8")
DRAWN = "overview.jpg"
"""The picture that one of the blocks draws, and that examples/ holds."""
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


def runs_until_stopped(block: Block) -> bool:
    return block.language == "sh" and block.text.startswith(
        ("grounded-ram serve ", "grounded-ram ui ")
    )


def asks_a_server(block: Block) -> bool:
    return block.language == "sh" and block.text.startswith("curl ")


BLOCKS = read_blocks(TEXT)
PYTHON = [b for b in BLOCKS if b.language == "python" and DRAWN not in b.text]
SERVERS = [block for block in BLOCKS if runs_until_stopped(block)]
ASKED = [block for block in BLOCKS if asks_a_server(block)]
SHELL = [b for b in BLOCKS if calls_our_command(b) and b not in SERVERS]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn scenes in it, told about, and our command as the README spells it."""
    from PIL import Image

    from grounded_ram.scenes.scene import make_scene
    from grounded_ram.video.drawn import write_drawn

    tmp_path = tmp_path_factory.mktemp("readme")
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
    write_drawn(tmp_path / "drawn.mp4", 4)
    script = tmp_path / "bin" / "grounded-ram"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grounded_ram "$@"\n')
    script.chmod(0o755)
    return tmp_path


@pytest.fixture(scope="session")
def labelled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after the block that labels a dataset, on whose run other blocks go on."""
    folder = tmp_path_factory.mktemp("labelled")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    (block,) = [b for b in SHELL if b.text.startswith("grounded-ram label ")]
    run(["sh", "-e", "-c", block.text], folder)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it for one block."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
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
    assert shell == [b for b in BLOCKS if b in (*SHELL, *SERVERS, *ASKED)]


def test_there_is_something_to_run() -> None:
    assert PYTHON
    assert SHELL


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line-{block.line}")
def test_python_blocks_run(block: Block, folder: Path) -> None:
    run([sys.executable, "-c", block.text], folder)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"line-{block.line}")
def test_shell_blocks_run(block: Block, folder: Path, request: pytest.FixtureRequest) -> None:
    if NEEDS_A_RUN.match(block.text):
        shutil.copytree(request.getfixturevalue("labelled"), folder, dirs_exist_ok=True)
    run(["sh", "-e", "-c", block.text], folder)


@pytest.mark.parametrize("block", SERVERS, ids=lambda block: f"line-{block.line}")
def test_servers_answer_what_is_asked_of_them(block: Block, folder: Path) -> None:
    """Their port is one that is free; those that follow a server's block ask it."""
    command = re.sub(r" --port \d+", "", block.text.strip()) + " --port 0"
    if " ui " in command:
        command += " --no-browser"
    with started(command, folder) as url:
        page = url if " ui " in command else f"{url}/docs"
        with urllib.request.urlopen(page, timeout=60) as answer:
            assert answer.status == 200
        if " serve " in command:
            for asked in ASKED:
                run(["sh", "-e", "-c", asked.text.replace("http://localhost:8000", url)], folder)


@contextmanager
def started(command: str, folder: Path) -> Iterator[str]:
    """Start a server, and return the address that it prints."""
    words = command.replace("grounded-ram", f"{sys.executable} -m grounded_ram", 1).split()
    there = {**os.environ, "PYTHONPATH": str(README.parent), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, cwd=folder, env=there, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = (re.search(r"http://[\w.]+:\d+", line) for line in server.stdout)
            yield next(found[0] for found in lines if found)
        finally:
            server.terminate()
            try:
                assert server.wait(timeout=60) == 0
            finally:
                server.kill()


def test_every_preset_has_its_rows_in_the_tables() -> None:
    from grounded_ram.presets import PRESETS

    costs = re.compile(r"^\| `(\w+)` \| .+ \| (.+?) \| (\S+) GB \| .+ \| (\S+) \|$", re.MULTILINE)
    assert costs.findall(TEXT) == [
        (p.name, f"{p.disk_gb} GB" if p.disk_gb else "in the package", str(p.memory_gb), p.licence)
        for p in PRESETS.values()
    ]
    models = re.compile(r"^\| `(\w+)` \| `(\S+)` \| `(\S+)` \| `(\S+)` \|$", re.MULTILINE)
    assert models.findall(TEXT) == [
        (p.name, p.tagger, p.detector, p.segmenter) for p in PRESETS.values()
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


def test_the_picture_is_what_its_block_draws(folder: Path) -> None:
    (block,) = [b for b in BLOCKS if b.language == "python" and DRAWN in b.text]
    run([sys.executable, "-c", block.text], folder)
    kept = REPOSITORY / "examples" / DRAWN
    assert f"](examples/{DRAWN})" in TEXT
    assert kept.stat().st_size < 300_000
    drawn, shown = (np.asarray(PIL.Image.open(path), np.float32) for path in (folder / DRAWN, kept))
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 3  # scores may differ in their last digit


# Commands and options.

ANYWHERE = {"--help", "--version"}
OTHERS = ("pip", "python", "torchrun")
"""Programs whose options are not ours."""


@cache
def options_by_command() -> dict[str, set[str]]:
    """Return the options of each command, "" being our program itself."""
    found: dict[str, set[str]] = {}

    def walk(command: click.Command, name: str) -> None:
        spelt = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        found[name] = {option for option in spelt if option.startswith("-")} | ANYWHERE
        for part, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {part}".strip())

    walk(typer.main.get_command(app), "")
    return found


def spoken_of(words: str) -> tuple[str, set[str]]:
    """Return the command that begins a text, "" for none, and the options in the text."""
    plain = words.removeprefix("grounded-ram ").split()
    name = next(
        (" ".join(plain[:n]) for n in (2, 1) if " ".join(plain[:n]) in options_by_command()), ""
    )
    return name, set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", words))


def pieces_of_code() -> Iterator[str]:
    """Yield each line of the blocks and each piece of code in the text."""
    for block in BLOCKS:
        if block.language in {"sh", "text"}:
            yield from block.text.replace("\\\n", " ").splitlines()
    for span in re.finditer(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.S | re.M)):
        yield span[1]


def rows_of_commands() -> list[list[str]]:
    rows = re.findall(r"^\| `grounded-ram .+ \|$", TEXT, re.MULTILINE)
    return [re.split(r"(?<!\\) \| ", row.strip("| ")) for row in rows]


def test_the_table_has_every_command() -> None:
    told = {spoken_of(row[0].strip("`"))[0] for row in rows_of_commands()}
    groups = {name.rpartition(" ")[0] for name in options_by_command()}
    assert told == set(options_by_command()) - groups | {"models"}


def test_the_table_names_options_that_its_command_has() -> None:
    for command, _, *options in rows_of_commands():
        name, named = spoken_of(f"{command.strip('`')} {' '.join(options)}")
        assert named <= options_by_command()[name], name


def test_every_option_in_the_text_exists() -> None:
    everywhere = set().union(*options_by_command().values())
    for piece in pieces_of_code():
        if "pip install" in piece or piece.startswith(OTHERS):
            continue
        name, named = spoken_of(piece)
        long = {option for option in named if option.startswith("--")}
        assert long <= (options_by_command()[name] if name else everywhere), piece


# Messages.


@cache
def texts_of_the_source() -> list[str]:
    """Return every text in the package; what is put into it stands as an ellipsis."""
    found = []
    for file in sorted((REPOSITORY / "grounded_ram").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def messages() -> list[str]:
    table = TEXT.partition("| message |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)


def test_there_are_messages_to_check() -> None:
    assert len(messages()) > 20


@pytest.mark.parametrize("message", messages())
def test_a_quoted_message_is_one_that_the_package_says(message: str) -> None:
    parts = [re.escape(part.strip()) for part in message.split("...") if part.strip()]
    said = re.compile(".*".join(parts), re.DOTALL)
    assert any(said.search(text) for text in texts_of_the_source())


# Links.


def anchors() -> set[str]:
    """Return the anchors of headings as GitHub spells them."""
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", TEXT):
        place, _, anchor = target.partition("#")
        assert not place or (REPOSITORY / place).exists(), target
        assert not anchor or anchor in anchors(), target
