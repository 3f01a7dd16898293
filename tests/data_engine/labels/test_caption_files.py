import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from grounded_ram.data_engine.labels.caption_files import LONGEST, TOLD, CaptionFile
from grounded_ram.errors import InputError, MissingDependencyError, UnknownNameError

TWO = ["A dog.", "A red car, parked"]

FILES = {
    "plain.txt": "A dog.\n\n A red  car, parked\n",
    "table.csv": 'image,Caption\r\n1.jpg,A dog.\r\n2.jpg,\r\n3.jpg,"A red car, parked"\r\n',
    "table.tsv": "text\turl\nA dog.\tx\nA red car, parked\ty\n",
    "lines.jsonl": '{"Text": "A dog."}\n\n{"text": "A red car, parked"}\n',
    "lists.jsonl": '{"captions": ["A dog.", "A red car, parked"]}\n',
    "examples.jsonl": '{"captions": [{"text": "A dog."}, {"text": "A red car, parked"}]}\n',
    "texts.jsonl": '"A dog."\n"A red car, parked"\n',
    "list.json": json.dumps([{"caption": ["A dog.", "A red car, parked"], "image": "1.jpg"}]),
    "coco.json": json.dumps(
        {
            "info": {"year": 2014},
            "images": [{"id": 1, "caption": "no caption"}],
            "annotations": [{"image_id": 1, "id": i, "caption": c} for i, c in enumerate(TWO)],
        }
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_layout_gives_the_captions(name: str, ending: str, folder: Path) -> None:
    file = CaptionFile(folder / f"{name}{ending}")
    assert list(file) == TWO
    assert (file.bad, file.faults, file.is_damaged) == (0, [], False)


def test_standard_input_is_text_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    typed(b"A dog.\nA red car, parked")
    assert list(CaptionFile("-")) == TWO
    typed(b'caption\nA dog.\n"A red car, parked"\n')
    assert list(CaptionFile("-", layout="csv")) == TWO
    typed(b"")
    assert list(CaptionFile("-")) == []


def test_an_empty_file_has_none(tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl"):
        (tmp_path / name).touch()
        assert list(CaptionFile(tmp_path / name)) == []


def test_a_column_may_be_named_or_numbered(tmp_path: Path) -> None:
    path = tmp_path / "cc.tsv"
    path.write_text("A dog.\thttp://1\nA red car, parked\thttp://2\n")
    assert list(CaptionFile(path, column="1")) == TWO
    path.write_text("Alt Text\tcaption\nA dog.\tno\nA red car, parked\tno\n")
    assert list(CaptionFile(path, column="alt text")) == TWO
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"caption": "no", "alt": "A dog."}\n')
    assert list(CaptionFile(lines, column="alt")) == ["A dog."]


def test_a_table_without_captions_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("image,label\n1.jpg,dog\n")
    with pytest.raises(InputError, match=r"'image', 'label'.*--column"):
        CaptionFile(path)


def test_what_is_no_caption_is_counted_and_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\xff\xfe\n" + b"x" * (LONGEST + 1) + b"\n\n  \ntwo\n")
    file = CaptionFile(path)
    assert list(file) == ["one", "two"]
    assert (file.bad, file.blank) == (2, 2)
    assert [fault.split(": ")[0] for fault in file.faults] == [
        f"{path}, line 2",
        f"{path}, line 3",
    ]
    assert "save the file as UTF-8" in file.faults[0]
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"caption": "one"}\n{"caption": 3}\n{bad\n{"x": 1}\n[]\n{"caption": "two"}\n')
    file = CaptionFile(lines)
    assert list(file) == ["one", "two"]
    assert (file.bad, len(file.faults)) == (4, TOLD)
    table = tmp_path / "a.csv"
    table.write_text("image,caption\n1,one\n2\n3,two\n")
    file = CaptionFile(table)
    assert list(file) == ["one", "two"]
    assert "line 3: has 1 columns, captions are in number 2" in file.faults[0]


def test_a_field_that_the_csv_module_refuses_does_not_stop_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"caption\none\n{'x' * 200_000}\ntwo\n")
    file = CaptionFile(path)
    assert list(file) == ["one", "two"]
    assert file.bad == 1


def test_a_file_that_was_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    captions = "\n".join(f"caption {i} {i**5}" for i in range(20_000))
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(gzip.compress(captions.encode())[:-5000])
    file = CaptionFile(path)
    found = list(file)
    assert 0 < len(found) < 20_000
    assert file.is_damaged
    assert "the rest is lost" in file.faults[-1]


def test_damaged_json_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"annotations": [{"caption": "one"}, {"caption": "tw')
    file = CaptionFile(path)
    assert list(file) == ["one"]
    assert file.is_damaged
    path.write_text('{"images": []}')
    file = CaptionFile(path)
    assert list(file) == []
    assert "annotations" in file.faults[0]


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("nix.txt", {}, InputError),
        ("a.parquet", {}, InputError),
        ("plain.txt", {"layout": "xml"}, UnknownNameError),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    name: str, options: dict[str, str], error: type[Exception], folder: Path
) -> None:
    with pytest.raises(error):
        CaptionFile(folder / name, **options)


def test_zst_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.txt.zst").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match="pip install zstandard"):
        list(CaptionFile(tmp_path / "a.txt.zst"))


def test_zst_is_unpacked_across_frames(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    packed = b"".join(zstandard.compress(f"{text}\n".encode()) for text in TWO)
    (tmp_path / "a.txt.zst").write_bytes(packed)
    assert list(CaptionFile(tmp_path / "a.txt.zst")) == TWO
    (tmp_path / "a.txt.zst").write_bytes(b"no zst")
    file = CaptionFile(tmp_path / "a.txt.zst")
    assert list(file) == []
    assert file.is_damaged


def test_the_position_grows_up_to_the_size(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"caption {i}\n" for i in range(10_000)))
    file = CaptionFile(path)
    assert (file.position, file.size) == (0, path.stat().st_size)
    positions = [file.position for _ in file]
    assert positions == sorted(positions)
    assert positions[-1] == file.size
    assert CaptionFile("-").size is None
