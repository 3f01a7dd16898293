from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.reading.rows import (
    NOTHING,
    BadRow,
    BadRows,
    Pictures,
    captions_of,
    check_readable,
    example_of,
    key_in,
    log_bad_row,
    tags_of,
)
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put


@pytest.mark.parametrize(
    ("row", "tags", "captions"),
    [
        ({"image": "a.jpg", "tags": ["dog", "dog", " big  cat "]}, ("dog", "big cat"), ()),
        ({"file_name": "a.jpg", "text": " A dog. "}, (), (Caption("A dog."),)),
        ({"Filename": "a.jpg", "Label": "dog|cat"}, ("dog", "cat"), ()),
        ({"image": "a.jpg", "caption": ["A dog.", "A cat.", "A dog.", ""]}, (), "AB"),
        (
            {"image": "a.jpg", "tags": None, "captions": [{"text": "x", "tags": ["dog"]}]},
            ("dog",),
            (Caption("x", ("dog",)),),
        ),
        ({"image": "a.jpg", "path": "/far/b.jpg", "tags": "dog", "class": 3}, ("dog",), ()),
    ],
)
def test_rows_say_the_same_in_several_ways(
    tmp_path: Path, row: dict[str, Any], tags: tuple[str, ...], captions: Any
) -> None:
    put(tmp_path, "a.jpg")
    expected = (Caption("A dog."), Caption("A cat.")) if captions == "AB" else captions
    found = example_of(row, Pictures(tmp_path))
    assert found == Example(str(tmp_path / "a.jpg"), tags, expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no picture: expected one of image, file_name"),
        ({"tags": ["dog"]}, "no picture: expected one of"),
        ({"url": "https://x/a.jpg", "text": "A dog."}, "an address.*download.*https://x/a.jpg"),
        ({"image": "https://x/a.jpg", "text": "A dog."}, "an address.*https://x/a.jpg"),
        ({"image": "", "tags": ["dog"]}, "no picture: the value is empty"),
        ({"image": None, "tags": ["dog"]}, "no picture: the value is empty"),
        ({"image": 3, "tags": ["dog"]}, "expected text under 'image': got '3'"),
        ({"image": {"path": "a.jpg"}, "tags": ["dog"]}, "expected text under 'image'"),
        ({"image": "gone.jpg", "tags": ["dog"]}, "there is no picture: '.*gone.jpg'"),
        ({"image": "folder", "tags": ["dog"]}, "there is no picture: '.*folder'"),
        ({"image": "a\0.jpg", "tags": ["dog"]}, "a NUL in a text: under 'image'"),
        ({"image": "a" * 5000, "tags": ["dog"]}, "no path of a picture: |there is no picture"),
        ({"image": "\udcff.jpg", "tags": ["dog"]}, "no UTF-8; save the file as UTF-8: under"),
        ({"image": "a.jpg"}, NOTHING),
        ({"image": "a.jpg", "tags": [], "captions": ["", "  "]}, NOTHING),
        ({"image": "a.jpg", "tags": " | ", "caption": None}, NOTHING),
        ({"image": "a.jpg", "tags": 3}, "expected names under 'tags': got '3'"),
        ({"image": "a.jpg", "tags": {"dog": 1}}, "expected names under 'tags'"),
        ({"image": "a.jpg", "tags": ["dog", 3]}, "expected text under 'tags': got '3'"),
        ({"image": "a.jpg", "label": "7"}, "expected names under 'label', got numbers: 7"),
        ({"image": "a.jpg", "tags": ["1", "2"]}, "got numbers: 1, 2"),
        ({"image": "a.jpg", "tags": ["\udcff"]}, "no UTF-8"),
        ({"image": "a.jpg", "text": 3}, "expected text under 'text': got '3'"),
        ({"image": "a.jpg", "text": [None]}, "expected text under 'text': got 'None'"),
        ({"image": "a.jpg", "captions": [{"tags": ["dog"]}]}, "expected text under 'captions'"),
        ({"image": "a.jpg", "caption": "x", "text": "y"}, "'caption' and 'text'; .*'captions'"),
        ({"file": "a.jpg", "path": "a.jpg", "tags": "x"}, "'file' and 'path'; .*'image'"),
        ({"image": "a.jpg", "IMAGE": "b.jpg", "tags": "x"}, "'image' and 'IMAGE'"),
    ],
)
def test_rows_that_cannot_be_used_say_why(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "folder/x")
    with pytest.raises(InputError, match=message):
        example_of(row, Pictures(tmp_path))


@pytest.mark.parametrize(
    ("text", "separator", "tags"),
    [
        ("dog|hot dog|a, b", None, ("dog", "hot dog", "a, b")),
        ("dog; cat;dog", None, ("dog", "cat")),
        ("dog, cat ,,", None, ("dog", "cat")),
        ("hot dog", None, ("hot dog",)),
        ("haze primary", " ", ("haze", "primary")),
        ("a|b,c", ",", ("a|b", "c")),
        ("", None, ()),
        ("7|seven", None, ("7", "seven")),
    ],
)
def test_tags_in_a_text_are_parted_by_the_first_mark_that_is_in_it(
    text: str, separator: str | None, tags: tuple[str, ...]
) -> None:
    assert tags_of(text, "tags", separator) == tags


def test_captions_with_the_same_text_are_one() -> None:
    value = [{"text": "A dog.", "tags": ["dog"]}, "A dog. ", {"text": "A dog.", "tags": "cat"}]
    assert captions_of(value, "captions") == (Caption("A dog.", ("dog", "cat")),)
    assert captions_of(None, "captions") == captions_of([], "captions") == ()


@pytest.mark.parametrize(
    "name", ["Ünï 猫 1.JPG", "./a b/c.png", "a b//c.png", "a b\\c.png", "x/../a b/c.png"]
)
def test_pictures_are_found_by_odd_names(tmp_path: Path, name: str) -> None:
    put(tmp_path, "Ünï 猫 1.JPG", "a b/c.png")
    found = Pictures(tmp_path).find(name)
    expected = tmp_path / ("a b/c.png" if "c.png" in name else "Ünï 猫 1.JPG")
    assert found == str(expected)
    assert Pictures("elsewhere").find(str(expected)) == str(expected)


def test_a_name_with_a_backslash_of_its_own_goes_first(tmp_path: Path) -> None:
    put(tmp_path, "a\\b.jpg", "a/b.jpg")
    assert Pictures(tmp_path).find("a\\b.jpg") == str(tmp_path / "a\\b.jpg")


def test_the_first_key_goes_before_others_and_two_others_are_refused() -> None:
    keys = ("tags", "label", "class")
    assert key_in(["label", " TAGS ", "class"], keys, "tags") == " TAGS "
    assert key_in(["x", "Label"], keys, "tags") == "Label"
    assert key_in(["x"], keys, "tags") is None
    assert key_in([], keys, "tags") is None
    with pytest.raises(InputError, match=r"for tags, got 'label' and 'class'; call .*'tags'"):
        key_in(["label", "class"], keys, "tags")
    with pytest.raises(InputError, match="'tags' and 'tags'"):
        key_in(["tags", "tags"], keys, "tags")


def test_bad_rows_are_counted_by_reason_and_the_first_are_kept() -> None:
    bad = BadRows(keep=2)
    assert (bad.count, bad.first, dict(bad.reasons)) == (0, [], {})
    rows = [BadRow("x:1", "gone: 'a'"), BadRow("x:2", NOTHING), BadRow("x:3", "gone: 'b'")]
    for row in rows:
        bad(row)
    assert bad.first == rows[:2]
    assert (bad.count, dict(bad.reasons)) == (3, {"gone": 2, NOTHING: 1})


def test_a_bad_row_may_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log_bad_row(BadRow("labels.csv:17", "gone: 'a'"))
    assert caplog.messages == ["left out labels.csv:17: gone: 'a'"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    put(tmp_path, x__csv="image".encode("utf-16"), y__csv="image")
    check_readable(tmp_path / "y.csv")
    with pytest.raises(InputError, match=r"x\.csv' is UTF-16; save it as UTF-8"):
        check_readable(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"cannot read .*gone"):
        check_readable(tmp_path / "gone.csv")
