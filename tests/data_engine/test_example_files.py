from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grounded_ram.data_engine.example_files import read_examples, write_examples
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
CAPTIONS = st.builds(Caption, TEXTS, st.lists(TEXTS).map(tuple))


def test_pictures_below_the_file_are_relative_and_others_absolute(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    inside, outside = folder / "street/Ü 1.JPG", tmp_path / "set2/b.jpg"
    examples = [
        Example(str(inside), ("dog",), (Caption("A dog.\n", ("dog", "x")),)),
        Example(str(outside), ()),
    ]
    assert write_examples(examples, folder / "all.jsonl") == 2
    first, second = (folder / "all.jsonl").read_text("utf-8").splitlines()
    assert json.loads(first) == {
        "image": "street/Ü 1.JPG",
        "tags": ["dog"],
        "captions": [{"text": "A dog.\n", "tags": ["dog", "x"]}],
    }
    assert "Ü" in first
    assert json.loads(second) == {"image": str(outside), "tags": [], "captions": []}
    assert list(read_examples(folder / "all.jsonl")) == examples


def test_a_folder_may_be_moved_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    write_examples([Example(str(tmp_path / "old/a.jpg"), ("dog",))], tmp_path / "old/x.jsonl")
    (tmp_path / "old").rename(tmp_path / "new")
    (found,) = read_examples(tmp_path / "new/x.jsonl")
    assert found.image == str(tmp_path / "new/a.jpg")


def test_paths_from_here_on_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples([Example("a/../b.jpg", ("dog",))], "x.jsonl")
    assert json.loads(Path("x.jsonl").read_text())["image"] == "b.jpg"
    (found,) = read_examples("x.jsonl")
    assert found.image == str(tmp_path.resolve() / "b.jpg")


@given(st.lists(st.tuples(st.lists(TEXTS).map(tuple), st.lists(CAPTIONS).map(tuple))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_written_is_read_again(tmp_path: Path, parts: list[Any]) -> None:
    examples = [Example(f"{tmp_path}/{n}.jpg", *part) for n, part in enumerate(parts)]
    assert write_examples(examples, tmp_path / "x.jsonl") == len(parts)
    assert list(read_examples(tmp_path / "x.jsonl")) == examples


def test_no_examples(tmp_path: Path) -> None:
    assert write_examples([], tmp_path / "deep/er/x.jsonl") == 0
    assert list(read_examples(tmp_path / "deep/er/x.jsonl")) == []


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_examples([Example(str(tmp_path / "old.jpg"), ("dog",))], path)
    before = path.read_bytes()

    def broken() -> Iterator[Example]:
        yield Example("a.jpg", ("cat",))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_examples(broken(), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_file_may_be_rewritten_from_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_examples([Example(str(tmp_path / f"{n}.jpg"), ("dog",)) for n in range(9)], path)
    more = (Example(one.image, (*one.tags, "cat")) for one in read_examples(path))
    assert write_examples(more, path) == 9
    assert [one.tags for one in read_examples(path)] == [("dog", "cat")] * 9


def test_examples_are_read_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"image": "a", "tags": [], "captions": []}\nbroken\n')
    stream = read_examples(tmp_path / "x.jsonl")
    assert next(stream) == Example(str(tmp_path / "a"), ())
    with pytest.raises(InputError, match=r"x\.jsonl:2: "):
        next(stream)


@pytest.mark.parametrize("image", ["/p/\udcff.jpg"])
def test_names_that_are_no_text_are_refused(tmp_path: Path, image: str) -> None:
    with pytest.raises(InputError, match=r"example 1: .*valid Unicode.*\\udcff.*rename"):
        write_examples([Example(image, ("dog",))], tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "3",
        "null",
        '{"image": "a"}',
        '{"image": 3, "tags": [], "captions": []}',
        '{"image": "a", "tags": "dog", "captions": []}',
        '{"image": "a", "tags": [3], "captions": []}',
        '{"image": "a", "tags": [], "captions": ["A dog."]}',
        '{"image": "a", "tags": [], "captions": [{"text": "A dog."}]}',
        '{"image": "a", "tags": ["\\udcff"], "captions": []}',
    ],
)
def test_a_line_that_is_no_example_is_told_with_what_was_expected(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r'x\.jsonl:1: expected \{"image": .*, got '):
        list(read_examples(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("content", [b"{", b"\xff\n", b"\n", b"[" * 100_000])
def test_a_line_that_is_no_json_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.jsonl:1: "):
        list(read_examples(tmp_path / "x.jsonl"))


def test_a_line_that_is_no_utf8_says_what_to_do(tmp_path: Path) -> None:
    line = '{"image": "a.jpg", "tags": ["caf\u00e9"], "captions": []}\n'
    (tmp_path / "x.jsonl").write_bytes(line.encode() + line.encode("latin-1"))
    with pytest.raises(InputError, match=r"x\.jsonl:2: .*save the file as UTF-8"):
        list(read_examples(tmp_path / "x.jsonl"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a file of examples, but .*gone.*cannot be"):
        list(read_examples(tmp_path / "gone.jsonl"))
