import codecs
import csv
from pathlib import Path

import pytest

from grounded_ram.data_engine.labels.label_system import Row, Tag
from grounded_ram.data_engine.labels.review import COLUMNS, TOLD, read_review, write_review
from grounded_ram.errors import InputError

ROWS = [
    Row(
        tag="car",
        kind="object",
        names=("automobile", "motorcar"),
        captions=1200,
        share=0.5,
        examples=('A "red" car, parked', "=SUM(A1)"),
    ),
    Row(tag="crème brûlée", kind="object", captions=900, maybe_same_as="car", why="perhaps"),
    Row(tag="music", kind="abstract", keep=False, captions=10, why="of kind abstract"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_review(ROWS, tmp_path / "review.csv")
    return tmp_path / "review.csv"


def edit(path: Path, of: str, **cells: str) -> None:
    """Change cells of the row of a tag, as in a spreadsheet."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["tag"] == of:
            row.update(cells)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def mistake(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_review(path)
    return str(caught.value)


def test_a_spreadsheet_can_tell_that_it_is_utf8(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(codecs.BOM_UTF8)
    path.write_bytes(content.removeprefix(codecs.BOM_UTF8))
    assert [row.tag for row in read_review(path)[0]] == [row.tag for row in ROWS]


def test_what_nobody_edited_reads_back_as_it_was(path: Path) -> None:
    rows, system = read_review(path)
    for row, was in zip(rows, ROWS, strict=True):
        assert (row.tag, row.kind, row.keep, row.names) == (was.tag, was.kind, was.keep, was.names)
        assert (row.captions, row.maybe_same_as, row.why) == (
            was.captions,
            was.maybe_same_as,
            was.why,
        )
    assert system.tags == (
        Tag("car", "object", ("automobile", "motorcar"), 1200),
        Tag("crème brûlée", "object", (), 900),
    )


def test_no_rows_are_an_empty_system(tmp_path: Path) -> None:
    write_review([], tmp_path / "review.csv")
    rows, system = read_review(tmp_path / "review.csv")
    assert (rows, len(system)) == ([], 0)


def test_each_edit_does_what_it_says(path: Path) -> None:
    edit(path, "car", rename="auto", kind="Part", names=" automobile ;;")
    edit(path, "music", keep="Yes", same_as="")
    edit(path, "crème brûlée", same_as="music")
    assert read_review(path)[1].tags == (
        Tag("auto", "part", ("car", "automobile"), 1200),
        Tag("music", "abstract", ("crème brûlée",), 910),
    )


def test_a_line_that_is_deleted_is_no_tag_and_a_new_one_is_one(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1], "yes,zorb,object", "", ",,,"]), encoding="utf-8")
    assert [tag.name for tag in read_review(path)[1].tags] == ["car", "zorb"]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_what_a_spreadsheet_makes_of_the_file_can_be_read(path: Path, mark: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][0], rows[2][0], rows[3][0] = "TRUE", "1", "FALSE"
    rows[1][6] = "1,200"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=mark).writerows(rows)
    rows_read, system = read_review(path)
    assert [tag.name for tag in system.tags] == ["car", "crème brûlée"]
    assert [row.captions for row in rows_read] == [1200, 900, 10]


def test_no_caption_can_be_taken_for_a_formula(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["examples"] == '"A "red" car, parked" | "=SUM(A1)"'


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"keep": "maybe"}, "keep: expected yes or no, got 'maybe'"),
        ({"keep": ""}, "keep: the cell is empty; type yes or no"),
        ({"keep": "  "}, "keep: the cell is empty; type yes or no"),
        ({"kind": "objct"}, "unknown kind 'objct'; did you mean 'object'"),
        ({"same_as": "cra"}, "unknown tag under same_as 'cra'; did you mean 'car'"),
        ({"same_as": "music"}, "'crème brûlée' is the same as 'music', which is not kept"),
        ({"same_as": "crème brûlée"}, "is the same as itself"),
        ({"same_as": "car", "keep": "no"}, "same_as: it is not kept"),
        ({"same_as": "car", "rename": "x"}, "rename: it is the same as another tag"),
        ({"rename": "automobile"}, "'automobile' is a name of 'car', line 2"),
        ({"names": "motorcar"}, "'motorcar' is a name of 'car', line 2"),
        ({"tag": "car"}, "'car' stands in line 2 already"),
        ({"tag": ""}, "tag: expected a name"),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, cells: dict[str, str], message: str) -> None:
    edit(path, "crème brûlée", **cells)
    told = mistake(path)
    assert told.startswith(f"{path}: a mistake\n  line 3: ")
    assert message in told


def test_all_mistakes_are_told_at_once_and_not_too_many(path: Path) -> None:
    path.write_text("keep,tag,kind\n" + "".join(f"x,t{i},object\n" for i in range(TOLD + 5)))
    told = mistake(path)
    assert f"{TOLD + 5} mistakes" in told
    assert told.count("\n  line ") == TOLD
    assert told.endswith("... and 5 more")


def test_lines_are_counted_as_an_editor_counts_them(path: Path) -> None:
    path.write_text('keep,tag,kind,why\nyes,a,object,"two\nlines"\nx,b,object,\n')
    assert "line 4: keep" in mistake(path)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    assert "cannot be read" in mistake(path)
    path.write_bytes("keep,tag,kind\nyes,crème,object\n".encode("cp1252"))
    assert "review.csv, line 2: is no UTF-8; save it as CSV UTF-8" in mistake(path)
    path.write_text("tag,captions\ncar,1\n")
    assert "line 1" in mistake(path)
    assert "no keep and no kind" in mistake(path)
    path.write_text("")
    assert "no keep and no tag and no kind" in mistake(path)
