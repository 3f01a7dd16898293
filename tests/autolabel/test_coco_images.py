"""The images of COCO files: where they are, what they are called, which are annotated."""

import json
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.autolabel.coco_images import CocoImages
from grounded_ram.autolabel.items import Item, Naming, Skipped
from grounded_ram.autolabel.sources import open_sources
from grounded_ram.errors import InputError


def write(folder: Path, images: list[Any], annotations: list[Any] | None = None) -> Path:
    path = folder / "coco.json"
    content = {"images": images, "annotations": annotations or [], "categories": []}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def read(path: Path, root: Path | None = None) -> list[Item | Skipped]:
    source = CocoImages(path, root or path.parent)
    return list(source.items(Naming(source.base, path.parent / "keep", unique=False)))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_images_lie_in_the_files_folder_or_the_one_that_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [{"id": 1, "file_name": "val/ü ☃.jpg"}])
    touch(tmp_path / "val/ü ☃.jpg", tmp_path / "else/val/ü ☃.jpg")
    assert read(path) == [Item("val/ü ☃.jpg", str(tmp_path / "val/ü ☃.jpg"))]
    root = tmp_path / "else"
    assert read(path, root) == [Item("val/ü ☃.jpg", str(root / "val/ü ☃.jpg"))]


def test_absent_images_come_from_their_addresses(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    both = {"coco_url": "http://c/1.jpg", "flickr_url": "http://f/1.jpg"}
    images = [
        {"id": 1, "file_name": "a.jpg", **both},
        {"id": 2, "file_name": "b.jpg", **both},
        {"id": 3, "file_name": "c.jpg", "coco_url": "", "flickr_url": "http://f/1.jpg"},
        {"id": 4, "file_name": "d.jpg"},
        {"id": 5, "file_name": "e.jpg", "coco_url": "gs://b/e.jpg"},
    ]
    *items, absent, odd = read(write(tmp_path, images))
    assert items == [
        Item("a.jpg", str(tmp_path / "a.jpg")),
        Item("b.jpg", str(tmp_path / "keep/b.jpg"), "http://c/1.jpg"),
        Item("c.jpg", str(tmp_path / "keep/c.jpg"), "http://f/1.jpg"),
    ]
    assert absent == Skipped("coco.json, image 3", "there is no file: 'd.jpg'")
    assert isinstance(odd, Skipped)
    assert "expected an address" in odd.reason


def test_names_written_on_windows_or_leading_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "annotations"
    touch(folder / "x", tmp_path / "val/a.jpg", folder / "deep/b.jpg")
    names = ["deep\\b.jpg", "../val/a.jpg", str(tmp_path / "val/a.jpg")]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    outside = (tmp_path / "val/a.jpg").relative_to(tmp_path.anchor).as_posix()
    assert read(write(folder, images)) == [
        Item("deep/b.jpg", str(folder / "deep/b.jpg")),
        Item(outside, str(tmp_path / "val/a.jpg")),
        Skipped(outside, "an earlier picture has this name"),
    ]


def test_an_address_never_puts_a_file_elsewhere(tmp_path: Path) -> None:
    names = ["../../up.jpg", "/etc/up.jpg", "..\\up.jpg"]
    images = [
        {"id": number, "file_name": name, "coco_url": "http://c/1.jpg"}
        for number, name in enumerate(names)
    ]
    for item in read(write(tmp_path, images)):
        assert isinstance(item, Item)
        assert Path(item.path).resolve().is_relative_to(tmp_path / "keep")
        assert ".." not in item.name
        assert not item.name.startswith("/")


def test_damaged_images_are_said(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    odd: list[Any] = [{"id": 1}, {"file_name": "a.jpg"}, {"id": 2, "file_name": 7}, 5, None]
    odd += [{"id": 3, "file_name": ""}, {"id": 4, "file_name": "nul\0.jpg"}]
    odd += [{"id": 5, "file_name": "x" * 5000}, {"id": [6], "file_name": "a.jpg"}]
    *skipped, last = read(write(tmp_path, [*odd, {"id": 9, "file_name": "a.jpg"}]))
    assert [item.name for item in skipped] == [f"coco.json, image {n}" for n in range(len(odd))]
    assert last == Item("a.jpg", str(tmp_path / "a.jpg"))


def test_annotated_images_are_known(tmp_path: Path) -> None:
    touch(tmp_path / "deep/a.jpg", tmp_path / "deep/b.jpg")
    images = [{"id": 7, "file_name": "deep/a.jpg"}, {"id": 8, "file_name": "deep/b.jpg"}]
    annotations = [{"id": 1, "image_id": 8, "segmentation": [[0, 0, 1, 1]], "bbox": [0, 0, 1, 1]}]
    path = write(tmp_path, images, annotations)
    sources = open_sources([str(path)], keep_in=tmp_path / "keep")
    said = {x.name: sources.is_labelled(x) for x in sources.items() if isinstance(x, Item)}
    assert said == {"deep/a.jpg": None, "deep/b.jpg": f"COCO: {path}"}


def test_a_folder_for_images_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "annotations").mkdir()
    touch(tmp_path / "val/a.jpg")
    path = str(write(tmp_path / "annotations", [{"id": 1, "file_name": "a.jpg"}]))
    with pytest.raises(InputError, match=r"none lies in .*say where they are with --images-root"):
        open_sources([path], keep_in=tmp_path / "keep")
    sources = open_sources([path], keep_in=tmp_path / "keep", images_root=Path("val"))
    assert list(sources.items()) == [Item("a.jpg", str(tmp_path / "val/a.jpg"))]
    assert sources.count() == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b'{"images": 3}', b'{"a": 1}', b"\xff\xfe", b"[" * 200_000]
)
def test_what_is_no_coco_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "coco.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="COCO"):
        CocoImages(path, tmp_path)


def test_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of the 0 images"):
        read(write(tmp_path, []))
