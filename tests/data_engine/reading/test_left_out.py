import csv
from pathlib import Path

import pytest

from grounded_ram.data_engine.reading.left_out import left_out_lines, noting_left_out
from grounded_ram.data_engine.reading.rows import BadRow, BadRows
from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put


def listed(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "image,tags\na.jpg,dog\n" + "gone.jpg,dog\n" * 5),
        (
            "t.jsonl",
            '{"image": "a.jpg", "tags": ["dog"]}\n' + '{"image": "gone.jpg", "tags": ["x"]}\n' * 5,
        ),
    ],
)
def test_every_row_that_is_left_out_is_in_the_file(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, "a.jpg", **{name.replace(".", "__"): text})
    source, path = tmp_path / name, tmp_path / "new/left-out.csv"
    with noting_left_out(path, keep=2) as bad:
        assert len(list(open_examples(source, bad))) == 1
    assert (bad.count, len(bad.first)) == (5, 2)
    head, *rows = listed(path)
    assert head == ("file", "row", "reason")
    number = 3 if name == "t.csv" else 2
    assert [row[:2] for row in rows] == [(str(source), str(number + i)) for i in range(5)]
    assert all(row[2].startswith("there is no picture: ") for row in rows)


def test_a_picture_that_no_file_lists_is_itself_the_file(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "alone.jpg", "lost.txt", a__txt="A dog.")
    with noting_left_out(tmp_path / "left-out.csv") as bad:
        list(open_examples(f"captions:{tmp_path}", bad))
    rows = listed(tmp_path / "left-out.csv")[1:]
    assert [row[:2] for row in rows] == [
        (str(tmp_path / name), "") for name in ("alone.jpg", "lost.txt")
    ]


def test_without_bad_rows_there_is_no_file_and_that_of_an_earlier_run_goes(tmp_path: Path) -> None:
    path = put(tmp_path, left__csv="file,row,reason\nx,1,gone\n") / "left.csv"
    for one in (path, tmp_path / "new/left.csv"):
        with noting_left_out(one) as bad:
            pass
        assert bad.count == 0
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_meanwhile_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = put(tmp_path, left__csv="mine") / "left.csv"
    source = put(tmp_path, t__csv="image,tags\ngone.jpg,dog\n") / "t.csv"
    with pytest.raises(InputError, match="none of 1 rows"), noting_left_out(path) as bad:
        list(open_examples(source, bad))
    source.unlink()
    assert [one.read_text() for one in tmp_path.iterdir()] == ["mine"]


def test_names_that_are_no_unicode_are_written_all_the_same(tmp_path: Path) -> None:
    with noting_left_out(tmp_path / "left.csv") as bad:
        bad(BadRow("\udcff.jpg", "café: \n"))
    assert listed(tmp_path / "left.csv")[1] == ("\\udcff.jpg", "", "café: \n")


def test_without_a_path_rows_are_counted_alone() -> None:
    with noting_left_out(None, keep=1) as bad:
        bad(BadRow("x:1", "gone"))
        bad(BadRow("x:2", "gone"))
    assert (bad.count, bad.first) == (2, [BadRow("x:1", "gone")])


def test_what_is_said_names_the_file_that_has_them_all(tmp_path: Path) -> None:
    bad = BadRows(keep=1)
    assert left_out_lines(bad, tmp_path) == []
    bad(BadRow("x:1", "gone"))
    assert left_out_lines(bad) == ["left out: x:1: gone"]
    assert left_out_lines(bad, Path("l.csv"))[1:] == ["left out: 1 in all, listed in l.csv"]
    bad(BadRow("x:2", "gone"))
    more = "left out of --truth: and 1 more"
    assert left_out_lines(bad, what=" of --truth") == ["left out of --truth: x:1: gone", more]
    found = left_out_lines(bad, Path("l.csv"), " of --truth")
    assert found[1:] == [f"{more}, all of them in l.csv"]
