from __future__ import annotations

from pathlib import Path

import pytest

from grounded_ram.data_engine.example_files import write_examples
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path, "a.jpg", "b.jpg", "sub dir/Ünï 猫.PNG")


def test_files_of_examples_are_read_as_they_were_written(folder: Path) -> None:
    examples = [
        Example(str(folder / "a.jpg"), ("dog", "hot dog"), (Caption("A dog, a|b.", ("dog",)),)),
        Example(str(folder / "sub dir/Ünï 猫.PNG"), ("cat",)),
    ]
    write_examples(examples, folder / "x.jsonl")
    assert list(open_examples(folder / "x.jsonl")) == examples


def test_lines_as_other_trainers_write_them(folder: Path) -> None:
    text = (
        '\ufeff{"file_name": "a.jpg", "text": "A dog."}\r\n'
        "\r\n"
        '{"image": "sub dir\\\\Ünï 猫.PNG", "caption": ["A cat.", "It sits."], "x": {"y": []}}\r\n'
        '{"image": "b.jpg", "tags": "bus|car"}'
    )
    put(folder, m__NDJSON=text)
    good = {
        "a.jpg": ((), ("A dog.",)),
        "sub dir/Ünï 猫.PNG": ((), ("A cat.", "It sits.")),
        "b.jpg": (("bus", "car"), ()),
    }
    assert told(folder / "m.NDJSON", folder) == (good, [])


def test_tags_of_captions_are_tags_of_the_picture(folder: Path) -> None:
    line = '{"image": "a.jpg", "tags": ["x"], "captions": [{"text": "A dog.", "tags": ["dog"]}]}'
    put(folder, m__jsonl=line)
    (found,) = open_examples(folder / "m.jsonl")
    assert found.tags == ("x", "dog")


def test_bad_lines_are_told_and_the_others_are_read(folder: Path) -> None:
    lines = [
        (b'{"image": "a.jpg", "tags": ["dog"]}', None),
        (b'{"image": "a.jpg", "tags": ["dog"]', "no JSON: "),
        (b'["a.jpg", "dog"]', "expected an object with a picture: got "),
        (b'"a.jpg"', "expected an object with a picture"),
        (b'{"tags": ["dog"]}', "no picture: "),
        (
            b'{"image": "a.jpg", "tags": "d\xffg"}',
            "bytes that are no UTF-8; save the file as UTF-8: ",
        ),
        (b'{"image": "gone.jpg", "tags": ["dog"]}', "there is no picture: "),
        (b'{"image": "a.jpg", "tags": [], "captions": []}', "neither tags nor captions"),
        (b'{"image": "a.jpg", "tags": 7}', "expected names under 'tags'"),
        (b"[" * 100_000, "no JSON: "),
        (b'{"url": "http://x/a.jpg", "text": "A dog."}', "an address"),
        (b'{"image": "b.jpg", "tags": ["cat"]}', None),
    ]
    put(folder, m__jsonl=b"\n".join(line for line, _ in lines))
    good, bad = told(folder / "m.jsonl", folder)
    assert good == {"a.jpg": (("dog",), ()), "b.jpg": (("cat",), ())}
    expected = [(n, reason) for n, (_, reason) in enumerate(lines, 1) if reason]
    assert len(bad) == len(expected)
    for row, (number, reason) in zip(bad, expected, strict=True):
        assert row.startswith(f"m.jsonl:{number}: {reason}")


def test_lines_about_one_picture_are_joined_wherever_they_stand(folder: Path) -> None:
    names = ["a.jpg", "b.jpg", "a.jpg", "b.jpg", "./a.jpg"]
    lines = [f'{{"image": "{name}", "text": "{place}"}}' for place, name in enumerate(names)]
    put(folder, m__jsonl="\n".join(lines))
    good, _ = told(folder / "m.jsonl", folder)
    assert good == {"b.jpg": ((), ("1", "3")), "a.jpg": ((), ("0", "2", "4"))}


def test_what_parts_tags_is_the_same_in_all_texts(folder: Path) -> None:
    lines = [
        '{"image": "a.jpg", "tags": "jar, large"}',
        '{"image": "a.jpg", "tags": ["x|y"]}',
        '{"image": "b.jpg", "captions": [{"text": "x", "tags": "cat|bus"}, "y, z"]}',
    ]
    put(folder, m__jsonl="\n".join(lines))
    with pytest.raises(InputError, match=r"by ',' in m\.jsonl:1 .* by '\|' in m\.jsonl:3"):
        told(folder / "m.jsonl", folder)
    good, _ = told(folder / "m.jsonl", folder, separator="|")
    assert good == {"a.jpg": (("jar, large", "x|y"), ()), "b.jpg": (("cat", "bus"), ("x", "y, z"))}
    put(folder, c__jsonl='{"image": "a.jpg", "captions": [{"text": "x", "tags": "cat|bus/tram"}]}')
    assert told(folder / "c.jsonl", folder, separator="/")[0]["a.jpg"][0] == ("cat|bus", "tram")


def test_no_lines(folder: Path) -> None:
    put(folder, m__jsonl="")
    with pytest.raises(InputError, match=r"m\.jsonl: .*but it has no line; write one"):
        told(folder / "m.jsonl", folder)


def test_pictures_elsewhere_and_a_separator(folder: Path, tmp_path: Path) -> None:
    far = put(tmp_path / "far", m__jsonl='{"image": "a.jpg", "tags": "haze primary"}')
    good, _ = told(far / "m.jsonl", folder, images=folder, separator=" ")
    assert good == {"a.jpg": (("haze", "primary"), ())}


def test_a_document_that_is_no_lines_is_told_as_a_whole(folder: Path) -> None:
    put(folder, m__jsonl='[\n {"image":\n  "a.jpg"}\n]\n', u__jsonl="{}".encode("utf-16"))
    with pytest.raises(InputError, match=r"none of 4 rows could be used; the first is m.jsonl:1"):
        list(open_examples(folder / "m.jsonl"))
    with pytest.raises(InputError, match="is UTF-16; save it as UTF-8"):
        open_examples(folder / "u.jsonl")
