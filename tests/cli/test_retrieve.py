from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from grounded_ram.cli.retrieve import retrieve as command
from grounded_ram.cli.root import Commands
from grounded_ram.images import load_image
from grounded_ram.tagging.retrieval import Retriever, load_retriever
from grounded_ram.weights import find_checkpoint, with_own_files
from tests.training.small import coloured_pictures, small_model

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.command()(command)
app.command("another")(lambda: None)  # so that the first one keeps its name

TEXTS = ["a red square", "a blue square and a green square", "nothing"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["retrieve", *map(str, arguments), "--device", "cpu"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"), "tag2text")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    return [one.image for one in coloured_pictures(tmp_path / "pictures", 5)]


def by_hand(model: Path) -> Retriever:
    row = with_own_files(find_checkpoint("tag2text:swin-b"), {"weights": model})
    return load_retriever(row, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures were looked at, each time."""
    counts: list[int] = []
    whole = Retriever.embed_images

    def embed(self: Retriever, images: list[object], *rest: object) -> object:
        counts.extend([len(images)] if images else [])
        return whole(self, images, *rest)

    monkeypatch.setattr(Retriever, "embed_images", embed)
    return counts


def test_pictures_come_in_the_order_in_which_they_fit_a_text(
    model: Path, pictures: list[str]
) -> None:
    more = [word for text in TEXTS[:2] for word in ("--text", text)]
    done = run(model, *pictures, *more, "--top", "3", "--json", "--batch-size", "1")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    retriever = by_hand(model)
    images = retriever.embed_images([load_image(path).pixels for path in pictures])
    hits = retriever.images_for(retriever.embed_texts(TEXTS[:2]), images)
    assert told["failed"] == []
    for query, row in enumerate(told["queries"]):
        assert row["text"] == TEXTS[query]
        assert [one["picture"] for one in row["found"]] == [
            pictures[number] for number in hits.numbers[query, :3]
        ]
        np.testing.assert_allclose([one["score"] for one in row["found"]], hits.scores[query, :3])


def test_texts_come_in_the_order_in_which_they_fit_a_picture(
    model: Path, pictures: list[str], tmp_path: Path
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join([*TEXTS, "", TEXTS[0]]))
    arguments = ("--image", pictures[1], "--texts", tmp_path / "texts.txt", "--rerank", "0")
    done = run(model, *arguments, "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["queries"]
    retriever = by_hand(model)
    images = retriever.embed_images([load_image(pictures[1]).pixels])
    hits = retriever.texts_for(images, retriever.embed_texts(TEXTS), match=False)
    assert row["picture"] == pictures[1]
    assert [one["text"] for one in row["found"]] == [TEXTS[number] for number in hits.numbers[0]]
    shown = run(model, *arguments, "--top", "2")
    assert f"picture: {pictures[1]}" in shown.stdout
    assert "│ 2 " in shown.stdout
    assert "│ 3 " not in shown.stdout


def test_with_an_index_only_new_and_changed_pictures_are_looked_at(
    model: Path, pictures: list[str], tmp_path: Path, looked: list[int]
) -> None:
    index = ("--index", tmp_path / "folder" / "pictures.index", "--json", "--text", "a red square")
    first = run(model, *pictures[:3], *index)
    assert first.exit_code == 0, first.output
    assert run(model, *pictures[:3], *index).stdout == first.stdout
    assert looked == [3]
    everything = run(model, *pictures, *index)
    assert looked == [3, 2]
    assert everything.stdout == run(model, *pictures, "--json", "--text", "a red square").stdout
    looked.clear()
    assert run(model, *pictures[:3], *index).stdout == first.stdout
    assert looked == []
    PIL.Image.fromarray(np.full((40, 36, 3), 7, np.uint8)).save(pictures[0])
    os.utime(pictures[0], ns=(1, 1))
    changed = run(model, *pictures, *index)
    assert looked == [1]
    assert changed.stdout == run(model, *pictures, "--json", "--text", "a red square").stdout
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["pictures.index"]


def test_an_index_of_another_model_is_made_anew(
    model: Path, pictures: list[str], tmp_path: Path, looked: list[int]
) -> None:
    other = small_model(tmp_path / "other", "tag2text", ("red", "cat", "dog"))
    index = ("--index", tmp_path / "pictures.index", "--json", "--text", "a red square")
    assert run(model, *pictures, *index).exit_code == 0
    done = run(other, *pictures, *index)
    assert looked == [5, 5]
    assert "is of another model" in done.stderr
    assert done.stdout == run(other, *pictures, "--json", "--text", "a red square").stdout


@pytest.mark.parametrize("content", [b"my notes", b"", b"\x08" + bytes(7) + b"{}      "])
def test_a_file_that_is_no_index_stays_as_it_is(
    model: Path, pictures: list[str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "notes").write_bytes(content)
    done = run(model, *pictures, "--text", "a", "--index", tmp_path / "notes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is no index of pictures" in done.stderr
    assert (tmp_path / "notes").read_bytes() == content


def test_pictures_that_cannot_be_read_are_told_and_the_others_searched(
    model: Path, pictures: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    index = ("--index", tmp_path / "pictures.index")
    for _ in range(2):
        done = run(
            *(model, tmp_path / "broken.png", *pictures, tmp_path / "gone.png"),
            *("--text", "a", "--json", *index),
        )
        assert done.exit_code == 1
        told = json.loads(done.stdout)
        assert len(told["queries"][0]["found"]) == 5
        names = {Path(one["input"]).name for one in told["failed"]}
        assert names == {"broken.png", "gone.png"}
    nothing = run(model, tmp_path / "broken.png", "--text", "a", "--json")
    assert json.loads(nothing.stdout)["queries"] == [{"text": "a", "found": []}]


def test_a_model_without_alignment_is_refused_in_plain_words(
    pictures: list[str], tmp_path: Path
) -> None:
    ram = small_model(tmp_path / "ram")
    done = run(ram, *pictures, "--text", "a")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "was trained without alignment" in done.stderr
    assert "--alignment" in done.stderr
    done = run(tmp_path, *pictures, "--text", "a")
    assert done.exit_code == 2
    assert 'expected the folder "model" of a training' in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "ask one way"),
        (["a.png", "--text", "a", "--image", "a.png"], "ask one way"),
        (["--text", "a"], "name some"),
        (["a.png", "--text", " "], "--text must say something"),
        (["--image", "a.png"], "--texts FILE"),
        (["b.png", "--image", "a.png", "--texts", "a.txt"], "no PICTURES"),
        (["--image", "a.png", "--texts", "none.txt"], "is no UTF-8 file of texts"),
    ],
)
def test_questions_that_are_none_are_refused(
    model: Path, arguments: list[str], message: str
) -> None:
    done = run(model, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
