from __future__ import annotations

from pathlib import Path

import pytest

from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.data_engine.reading.tables import LOOKED_AT
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put, told

PICTURES = ("a.jpg", "b.jpg", "sub dir/Ünï 猫.PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path, *PICTURES)


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    put(folder, **{name.replace(".", "__"): text})
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "image,tags\na.jpg,dog|hot dog\nsub dir/Ünï 猫.PNG,cat\n"),
        ("T.CSV", "Image , TAGS\n a.jpg ,dog;hot dog\nsub dir/Ünï 猫.PNG,cat"),
        ("t.csv", 'image,tags\na.jpg,"dog,hot dog"\n"sub dir/Ünï 猫.PNG",cat\n'),
        ("t.csv", "filename;label\na.jpg;dog,hot dog\nsub dir\\Ünï 猫.PNG;cat\n"),
        ("t.csv", "path\ttags\na.jpg\tdog|hot dog\nsub dir/Ünï 猫.PNG\tcat\n"),
        ("t.tsv", "x\tpath\ttags\n1\ta.jpg\tdog|hot dog\n2\tsub dir/Ünï 猫.PNG\tcat\n"),
        ("t.csv", "\ufeffimage,tags\r\na.jpg,dog|hot dog\r\n\r\nsub dir/Ünï 猫.PNG,cat\r\n"),
        ("t.csv", "\n\nimage,tags\n\na.jpg,dog|hot dog\nsub dir/Ünï 猫.PNG,cat\n  \n"),
    ],
)
def test_tables_of_tags_as_people_write_them(folder: Path, name: str, text: str) -> None:
    good = {"a.jpg": (("dog", "hot dog"), ()), "sub dir/Ünï 猫.PNG": (("cat",), ())}
    assert told(write(folder, text, name), folder) == (good, [])


def test_captions_stand_alone_or_beside_tags(folder: Path) -> None:
    both = write(folder, 'image,tags,caption\na.jpg,dog,"A ""big"" dog,\nrunning."\nb.jpg,,B.\n')
    good = {"a.jpg": (("dog",), ('A "big" dog,\nrunning.',)), "b.jpg": ((), ("B.",))}
    assert told(both, folder) == (good, [])
    flickr = "image_name| comment_number| comment\na.jpg| 0| One.\na.jpg| 2| Two.\n"
    assert told(write(folder, flickr), folder) == ({"a.jpg": ((), ("One.", "Two."))}, [])


def test_columns_of_classes_hold_0_or_1(folder: Path) -> None:
    text = "id,image,hot_dog,cat , big bus,empty\n7,a.jpg,1,0,1.0,\n8,b.jpg,0.0,True,,\n"
    path = write(folder, text)
    good = {"a.jpg": (("hot_dog", "big bus"), ()), "b.jpg": (("cat",), ())}
    assert told(path, folder) == (good, [])
    assert open_examples(path).about == (
        "table t.csv: pictures in 'image'; 3 columns of classes ('hot_dog', 'cat', 'big bus'); "
        "not used: 'id', 'empty'"
    )


def test_captions_may_stand_beside_classes(folder: Path) -> None:
    path = write(folder, "image,caption,dog\na.jpg,A dog.,1\nb.jpg,Empty street.,0\n")
    good = {"a.jpg": (("dog",), ("A dog.",)), "b.jpg": ((), ("Empty street.",))}
    assert told(path, folder) == (good, [])


def test_a_column_of_tags_goes_before_columns_of_classes(folder: Path) -> None:
    path = write(folder, "image,tags,is_valid\na.jpg,dog,1\n")
    assert told(path, folder)[0] == {"a.jpg": (("dog",), ())}
    assert open_examples(path).about.endswith("tags in 'tags'; not used: 'is_valid'")


def test_what_is_no_class_among_the_first_rows_is_none(folder: Path) -> None:
    rows = ["a.jpg,1,0"] * (LOOKED_AT - 1)
    path = write(folder, "\n".join(["image,dog,fold", *rows, "b.jpg,1,2"]))
    with pytest.raises(InputError, match="in 'fold' most are and some are not; correct these"):
        open_examples(path)
    path = write(folder, "image,dog,fold\na.jpg,1,3\nb.jpg,1,2\nb.jpg,1,1\n")
    assert told(path, folder)[0] == {"a.jpg": (("dog",), ()), "b.jpg": (("dog",), ())}
    path = write(folder, "\n".join(["image,dog,fold", *rows, "a.jpg,1,1", "b.jpg,1,2"]))
    good, bad = told(path, folder)
    assert good == {"a.jpg": (("dog", "fold"), ())}
    assert bad == ["t.csv:1002: expected 0 or 1: column 'fold' holds '2'"]


def test_bad_rows_are_told_by_their_line_and_the_others_are_read(folder: Path) -> None:
    text = (
        b"image,tags,caption\n"
        b"gone.jpg,dog,\n"
        b",dog,\n"
        b"a.jpg,,\n"
        b"a.jpg,dog\n"
        b"a.jpg,dog,cat,bus\n"
        b'a.jpg,"dog,x\n'
        b"a.jpg,3,\n"
        b"a.jpg,d\xffg,\n"
        b"\xff.jpg,dog,\n"
        b'a.jpg,dog,"A\ndog."\n'
        b"\n"
        b",,\n"
        b"b.jpg,cat,\n"
    )
    good, bad = told(write(folder, text), folder)
    assert good == {"a.jpg": (("dog",), ("A\ndog.",)), "b.jpg": (("cat",), ())}
    expected = [
        ("2", "there is no picture: "),
        ("3", "no picture: the value is empty"),
        ("4", "neither tags nor captions"),
        ("5", "wrong number of columns: expected 3, got 2"),
        ("6", "wrong number of columns: expected 3, got 4"),
        ("7", "malformed: "),
        ("8", "expected names under 'tags', got numbers: 3"),
        ("9", "bytes that are no UTF-8; save the file as UTF-8: under 'tags'"),
        ("10", "bytes that are no UTF-8"),
        ("14", "no picture: the value is empty"),
    ]
    assert len(bad) == len(expected)
    for row, (line, reason) in zip(bad, expected, strict=True):
        assert row.startswith(f"t.csv:{line}: {reason}")


def test_a_quote_that_does_not_close_costs_one_line(folder: Path) -> None:
    lines = ["image,tags", 'a.jpg,"dog', *["b.jpg,cat"] * 5000, 'b.jpg,"bus"']
    good, bad = told(write(folder, "\n".join(lines)), folder)
    assert good == {"b.jpg": (("cat", "bus"), ())}
    assert [row.partition(": ")[0] for row in bad] == ["t.csv:2"]


def test_a_quote_that_does_not_close_before_the_end_costs_one_line(folder: Path) -> None:
    text = 'image,tags\nb.jpg,cat\na.jpg,"dog\na.jpg,bus\n'
    good, bad = told(write(folder, text), folder)
    assert good == {"b.jpg": (("cat",), ()), "a.jpg": (("bus",), ())}
    assert [row.partition(": ")[0] for row in bad] == ["t.csv:3"]


def test_rows_about_one_picture_are_joined_wherever_they_stand(folder: Path) -> None:
    text = "image,tags\na.jpg,dog\nb.jpg,bus\n./a.jpg,cat|dog\nsub dir/Ünï 猫.PNG,x\n"
    good, _ = told(write(folder, text + f"{folder}/a.jpg,bird\n"), folder)
    assert good["a.jpg"] == (("dog", "cat", "bird"), ())
    assert list(good) == ["b.jpg", "sub dir/Ünï 猫.PNG", "a.jpg"]


def test_a_table_may_be_about_pictures_elsewhere(folder: Path, tmp_path: Path) -> None:
    path = write(put(tmp_path / "far", "x"), "image,tags\na.jpg,dog\n")
    assert told(path, folder, images=folder)[0] == {"a.jpg": (("dog",), ())}
    with pytest.raises(InputError, match=r"none of 1 rows .*t\.csv:2: there is no .*images="):
        told(path, folder)


def test_a_separator_of_ones_own(folder: Path) -> None:
    path = write(folder, "image,tags\na.jpg,haze primary\n")
    assert told(path, folder, separator=" ")[0] == {"a.jpg": (("haze", "primary"), ())}


def test_what_parts_tags_is_the_same_in_the_whole_column(folder: Path) -> None:
    path = write(folder, "image\ttags\na.jpg\thot dog\nb.jpg\tcat|jar, large\n")
    good = {"a.jpg": (("hot dog",), ()), "b.jpg": (("cat", "jar, large"), ())}
    assert told(path, folder) == (good, [])
    mixed = "image\ttags\na.jpg\tdog\nb.jpg\tjar, large\na.jpg\tcat|bus\n"
    path = write(folder, mixed)
    with pytest.raises(
        InputError,
        match=r"in 'tags', got several: by ',' in t\.csv:3 \('jar, large'\), by '\|' in t\.csv:4 .*"
        r"separator= \(--separator",
    ):
        told(path, folder)
    good = {"a.jpg": (("dog", "cat", "bus"), ()), "b.jpg": (("jar, large",), ())}
    assert told(path, folder, separator="|") == (good, [])


def test_a_row_with_wrong_columns_does_not_say_what_parts_tags(folder: Path) -> None:
    good, bad = told(write(folder, "image,tags\na.jpg,dog|cat\nb.jpg,x;y,z\n"), folder)
    assert good == {"a.jpg": (("dog", "cat"), ())}
    assert len(bad) == 1


def test_a_table_without_rows(folder: Path) -> None:
    for text in ("image,tags\n", "image,caption"):
        with pytest.raises(InputError, match=r"t\.csv: .*it has no row below the names of its col"):
            told(write(folder, text), folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names of columns in the first line, one of them for pictures.*got an empty file"),
        ("\n", "one of them for pictures.*got ''"),
        ("a.jpg,dog\n", "first line.*got 'a.jpg,dog'. Write them above"),
        ("image\na.jpg\n", "expected a column of tags.*0 or 1; got 'image'"),
        ("image,x\na.jpg,7\n", "expected a column of tags .*got 'image', 'x'"),
        ("image,x\n", "expected a column of tags"),
        ("image,label,class\na.jpg,a,b\n", "'label' and 'class'; call the right one 'tags'"),
        ("file,path,tags\na.jpg,a,b\n", "'file' and 'path'; call the right one 'image'"),
        ("image,dog,dog \na.jpg,1,0\n", "expected each class once, got 'dog', 'dog'"),
        ("image,3\na.jpg,1\n", "got numbers: 3"),
        ('"image,tags\na.jpg,dog\n', "names of columns in the first line"),
    ],
)
def test_a_table_that_cannot_be_used_as_a_whole(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"t\.csv: (?s:.*){message}"):
        open_examples(write(folder, text))


def test_names_of_columns_that_are_no_utf8_say_so(folder: Path) -> None:
    (folder / "t.csv").write_bytes("image,café\na.jpg,1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"t\.csv:1: .*save the file as UTF-8: the names"):
        open_examples(folder / "t.csv")


def test_in_a_tsv_commas_part_nothing(folder: Path) -> None:
    with pytest.raises(InputError, match="first line"):
        open_examples(write(folder, "image,tags\na.jpg,dog\n", "t.tsv"))


def test_a_row_of_zeros_is_a_picture_that_shows_none_of_the_classes(folder: Path) -> None:
    text = "image,dog,cat\na.jpg,1,0\nb.jpg,0,0\n"
    good, bad = told(write(folder, text), folder)
    assert good == {"a.jpg": (("dog",), ()), "b.jpg": ((), ())}
    assert bad == []


def test_a_slip_in_a_class_column_is_no_reason_to_leave_the_class_out(folder: Path) -> None:
    text = "image,dog,cat\na.jpg,1,0\nb.jpg,1,1\nb.jpg,yes please,1\n"
    with pytest.raises(InputError, match="in 'dog' most are and some are not"):
        open_examples(write(folder, text))
