from __future__ import annotations

import logging
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.data_engine.reading.rows import BadRows
from grounded_ram.data_engine.reading.sources import KINDS, open_examples
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put, told

COCO = """{"images": [{"id": 1, "file_name": "dog/a.jpg"}], "categories": [],
"annotations": [{"image_id": 1, "caption": "A dog."}]}"""


def test_a_file_is_known_by_its_ending_and_a_word_before_it_goes_first(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", list__dat="image;tags\na.jpg;dog\n", x__txt='{"image": "a.jpg"}')
    assert told(f"csv:{tmp_path}/list.dat", tmp_path)[0] == {"a.jpg": (("dog",), ())}
    with pytest.raises(InputError, match=r"ends in \.csv.*got .*list\.dat'; say .*'csv:.*dat'"):
        open_examples(tmp_path / "list.dat")
    with pytest.raises(InputError, match="neither tags nor captions"):
        told(f"jsonl:{tmp_path}/x.txt", tmp_path)


def test_a_path_that_is_there_goes_before_a_word_with_a_colon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(put(tmp_path, "classes:x/dog/a.jpg", "x/cat/b.jpg"))
    assert told("classes:x", tmp_path.resolve())[0] == {"classes:x/dog/a.jpg": (("dog",), ())}
    assert told("classes:./x", tmp_path.resolve())[0] == {"x/cat/b.jpg": (("cat",), ())}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.jsonl", '{"file_name": "in/a.jpg", "text": "A dog."}\n'),
        ("metadata.csv", "file_name,text\nin/a.jpg,A dog.\n"),
    ],
)
def test_metadata_in_a_folder_tells_about_its_pictures(
    tmp_path: Path, name: str, text: str
) -> None:
    put(tmp_path, "in/a.jpg", "in/b.jpg", **{name.replace(".", "__"): text})
    assert told(tmp_path, tmp_path) == ({"in/a.jpg": ((), ("A dog.",))}, [])


def test_two_files_of_metadata_are_refused_with_both_spellings(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "metadata.csv", "metadata.jsonl")
    with pytest.raises(InputError, match=r"got two; say '.*metadata.csv' or '.*metadata.jsonl'"):
        open_examples(tmp_path)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("gone", {}, "there is no '.*gone'; it may end in .csv"),
        ("csv:gone.csv", {}, "there is no '.*gone.csv'"),
        ("classes:t.csv", {}, "classes: expected a folder, got '.*t.csv'"),
        ("csv:dog", {}, "csv: expected a file, got '.*dog'"),
        ("video:t.csv", {}, "there is no 'video:"),
        ("dog/a.jpg", {}, "expected a file that ends in .csv, .*got '.*a.jpg'"),
        ("classes:.", {"images": "x"}, r"--images .*: expected none for a folder .*got 'x'"),
        (
            "classes:.",
            {"separator": ","},
            r"--separator .*: expected one, and with a table or lines .*classes",
        ),
        ("t.csv", {"separator": ""}, r"--separator .*got ''"),
    ],
)
def test_sources_that_are_none_say_what_would_do(
    tmp_path: Path, source: str, options: dict[str, Any], message: str
) -> None:
    put(tmp_path, "dog/a.jpg", t__csv="image,tags\n")
    kind, colon, name = source.rpartition(":")
    with pytest.raises(InputError, match=message):
        open_examples(f"{kind}{colon}{tmp_path}/{name}", **options)


@pytest.mark.parametrize("names", [[], ["t.csv"], ["c.json", "t.csv"], ["dog", "dog"]])
def test_only_coco_files_are_opened_together(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, "dog/x/a.jpg", "c.json", t__csv="image,tags\n")
    with pytest.raises(InputError, match=r"expected COCO files .*; open other sources one by one"):
        open_examples([tmp_path / name for name in names])


def test_examples_are_read_anew_with_the_same_bad_rows(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", t__csv="image,tags\na.jpg,dog\ngone.jpg,x\nb.jpg,cat\n")
    bad = BadRows()
    examples = open_examples(tmp_path / "t.csv", bad)
    assert bad.count == 0
    first = list(examples)
    assert bad.count == 1
    assert list(examples) == first
    assert bad.count == 2
    assert bad.reasons == {"there is no picture": 2}


def test_bad_rows_are_logged_where_nobody_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.jpg", t__csv="image,tags\na.jpg,dog\n,x\n")
    with caplog.at_level(logging.WARNING):
        assert len(list(open_examples(tmp_path / "t.csv"))) == 1
    assert caplog.messages == ["left out t.csv:3: no picture: the value is empty"]


def test_where_no_picture_is_found_both_ways_to_say_where_they_are_are_told(tmp_path: Path) -> None:
    put(tmp_path, t__csv="image,tags\ngone.jpg,dog\n")
    with pytest.raises(InputError, match=r"images= \(--images on the command line\)$"):
        list(open_examples(tmp_path / "t.csv"))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_is_in_memory_does_not_grow_with_the_rows(tmp_path: Path, kind: str) -> None:
    put(tmp_path, *(f"{n}.jpg" for n in range(20)))
    long = "A long caption. " * 60
    with (tmp_path / f"t.{kind}").open("w") as file:
        file.write("image,text\n" if kind == "csv" else "")
        for n in range(4000):  # four megabytes; mostly bad rows, so that few pictures do
            name = f"{n // 200}.jpg" if n % 200 == 0 else f"gone {n}.jpg"
            line = {"csv": f"{name},{long}", "jsonl": f'{{"image": "{name}", "text": "{long}"}}'}
            file.write(f"{line[kind]}\n")
    bad = BadRows(keep=0)
    list(open_examples(tmp_path / f"t.{kind}", bad))  # what is loaded once is not counted
    tracemalloc.start()
    number = 0
    for number, _ in enumerate(open_examples(tmp_path / f"t.{kind}", bad), 1):
        if number == 15:
            held = tracemalloc.take_snapshot()
    tracemalloc.stop()
    assert (number, bad.count) == (20, 2 * 3980)
    # The names of paths go through a table of Python's own, which grows by leaps now and then.
    ours = held.filter_traces([tracemalloc.Filter(False, "*pathlib*")])
    assert sum(one.size for one in ours.statistics("filename")) < 1_000_000


def test_opening_tables_and_folders_loads_no_large_library(tmp_path: Path) -> None:
    put(tmp_path, "dog/a.jpg", t__csv="image,tags\ndog/a.jpg,x\n", c__json=COCO)
    code = (
        "import sys\n"
        "from grounded_ram.data_engine.reading.sources import open_examples\n"
        "for source in sys.argv[1:]: list(open_examples(source))\n"
        "print(sorted({'torch', 'cv2', 'supervision', 'pycocotools'} & set(sys.modules)))"
    )
    sources = (f"classes:{tmp_path}", f"{tmp_path}/t.csv", f"{tmp_path}/c.json")
    done = subprocess.run(
        [sys.executable, "-c", code, *sources],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_every_kind_is_told_in_what_people_read() -> None:
    text = (sys.modules[open_examples.__module__].__doc__ or "").lower()
    assert [kind for kind in KINDS if kind not in text] == []
