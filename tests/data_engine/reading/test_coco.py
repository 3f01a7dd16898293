from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.data_engine.reading.rows import BadRows
from grounded_ram.data_engine.reading.sources import open_examples
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put, told

IMAGES = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "sub dir\\Ünï 猫.PNG"}]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": " hot  dog "}]
SHAPE = {"segmentation": [[1, 2, 3, 4, 5, 6]], "bbox": [1, 2, 3, 4], "area": 3.5, "iscrowd": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path, "a.jpg", "b.jpg", "sub dir/Ünï 猫.PNG")


def write(folder: Path, name: str = "coco.json", **lists: Any) -> Path:
    content = {"info": {"images": 3}, "images": IMAGES, "annotations": [], **lists}
    path = folder / name
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def instances(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"id": n, "image_id": i, "category_id": c, **SHAPE} for n, (i, c) in enumerate(pairs)]


def captions(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"id": n, "image_id": i, "caption": text} for n, (i, text) in enumerate(pairs)]


def test_names_of_objects_are_tags(folder: Path) -> None:
    found = instances((1, 7), (2, 3), (1, 3), (1, 7))
    found[1]["iscrowd"] = 1
    path = write(folder, annotations=found, categories=CATEGORIES)
    good = {"a.jpg": (("dog", "hot dog"), ()), "sub dir/Ünï 猫.PNG": (("hot dog",), ())}
    assert told(path, folder) == (good, [])


def test_the_lists_may_come_in_any_order(folder: Path) -> None:
    path = folder / "coco.json"
    content = {"categories": CATEGORIES, "annotations": instances((1, 7)), "images": IMAGES[:1]}
    path.write_text("\ufeff" + json.dumps(content, indent=1), encoding="utf-8")
    assert told(path, folder) == ({"a.jpg": (("dog",), ())}, [])


def test_captions_are_captions(folder: Path) -> None:
    path = write(folder, annotations=captions((2, "A cat.\n"), (1, "A dog."), (2, "Two cats.")))
    good = {"a.jpg": ((), ("A dog.",)), "sub dir/Ünï 猫.PNG": ((), ("A cat.", "Two cats."))}
    assert told(path, folder) == (good, [])


def test_several_files_are_merged_by_picture_whatever_its_id(folder: Path) -> None:
    one = write(folder, "i.json", annotations=instances((1, 7)), categories=CATEGORIES)
    other = [{"id": "x", "file_name": "b.jpg"}, {"id": "y", "file_name": "./a.jpg"}]
    two = write(folder, "c.json", images=other, annotations=captions(("x", "B."), ("y", "A.")))
    three = write(folder, "j.json", annotations=instances((1, 3)), categories=CATEGORIES)
    good, bad = told([one, str(two), f"coco:{three}"], folder)
    assert good == {
        "a.jpg": (("dog", "hot dog"), ("A.",)),
        "b.jpg": ((), ("B.",)),
        "sub dir/Ünï 猫.PNG": ((), ()),  # where objects are listed, it has none
    }
    assert bad == []
    assert open_examples([one, two]).about == "COCO: i.json, c.json"


def test_pictures_may_lie_elsewhere(folder: Path) -> None:
    far = folder / "annotations"
    far.mkdir()
    path = write(far, images=IMAGES[:1], annotations=captions((1, "A dog.")))
    assert told(path, folder, images=folder)[0] == {"a.jpg": ((), ("A dog.",))}
    with pytest.raises(InputError, match=r"coco\.json, image 0: there is no picture: .*images="):
        told(path, folder)


def test_what_cannot_be_used_is_told_and_the_rest_is_read(folder: Path) -> None:
    images = [
        *IMAGES[:1],
        {"id": 2},
        {"id": [3], "file_name": "a.jpg"},
        {"id": 4, "file_name": "gone.jpg"},
        {"id": 5, "file_name": 7},
        "a.jpg",
        {"id": 6, "file_name": "b.jpg"},
    ]
    annotations = [
        *instances((1, 7), (1, 99), (77, 7), (1, [7]), (1, 8)),
        *captions((1, "A dog."), (1, 3), (78, "Lost.")),
        {"image_id": 1},
        7,
    ]
    categories = [*CATEGORIES, {"id": 8, "name": None}, {"name": "cat"}]
    path = write(folder, images=images, annotations=annotations, categories=categories)
    good, bad = told(path, folder)
    assert good == {"a.jpg": (("dog",), ("A dog.",)), "b.jpg": ((), ())}
    expected = [
        "image 1: lacks 'file_name'",
        "image 2: of a wrong type: ",
        "image 5: of a wrong type: ",
        "annotation 3: of a wrong type: ",
        "annotation 8: lacks 'category_id'",
        "annotation 9: of a wrong type: ",
        "category 3: lacks 'id'",
        "annotation 1: its category is not listed: 99",
        "annotation 4: expected text under 'name'",
        "annotation 6: expected text under 'caption': got '3'",
        "image 3: there is no picture: ",
        "image 4: expected text under 'file_name': got '7'",
        "annotation 2: its image is not listed: 77",
        "annotation 7: its image is not listed: 78",
    ]
    assert len(bad) == len(expected)
    for row, start in zip(bad, expected, strict=True):
        assert row.startswith(f"coco.json, {start}")


def test_no_images(folder: Path) -> None:
    with pytest.raises(InputError, match=r"coco\.json: .*but its list of \"images\" is empty"):
        told(write(folder, images=[]), folder)


def test_a_file_that_is_no_utf8_says_which_line_and_what_to_do(folder: Path) -> None:
    text = '{"images": [],\n"annotations": [],\n"categories": [{"id": 1, "name": "café"}]}'
    (folder / "coco.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"line 3 has bytes .* no UTF-8; save the file as UTF-8"):
        told(folder / "coco.json", folder)


def test_a_bad_row_has_its_file_and_which_entry_it_is(folder: Path) -> None:
    images = [*IMAGES[:1], {"id": 7, "file_name": "gone.jpg"}]
    path = write(folder, images=images, annotations=captions((1, "A dog."), (9, "A cat.")))
    bad = BadRows()
    list(open_examples(path, bad))
    assert [(row.file, row.row) for row in bad.first] == [
        (str(path), "image 1"),
        (str(path), "annotation 1"),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"data": []}', b"3", b'[{"image": "a.jpg"}]', b"\xff\xff\xff{}",
     b'{"images": {}}', b'{"annotations": [{"image_id": 1, "caption": "x"}]}',
     b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"im']
)  # fmt: skip
def test_a_file_that_is_no_coco_file(folder: Path, content: bytes) -> None:
    (folder / "coco.json").write_bytes(content)
    with pytest.raises(InputError, match=r'COCO file with "images".*coco\.json.*\.jsonl'):
        list(open_examples(folder / "coco.json"))


def test_an_empty_file_is_not_called_damaged(folder: Path) -> None:
    (folder / "coco.json").touch()
    with pytest.raises(InputError, match=r"coco\.json': it is empty; objects"):
        list(open_examples(folder / "coco.json"))


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*gone\.json"):
        open_examples([write(folder), folder / "gone.json"])


def test_a_picture_without_a_caption_says_nothing(folder: Path) -> None:
    path = write(folder, annotations=captions((1, "A dog.")))
    good, bad = told(path, folder)
    assert set(good) == {"a.jpg"}
    assert all(row.endswith("neither tags nor captions") for row in bad)
    assert bad
