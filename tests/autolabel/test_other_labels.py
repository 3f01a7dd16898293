"""Labels of other tools beside pictures, and what only looks like them."""

from pathlib import Path

import pytest

from grounded_ram.autolabel.other_labels import label_beside

LABELME = '{"version": "5.4", "flags": {}, "shapes": [], "imageData": "'
VOC = "<annotation>\n  <filename>a.jpg</filename>"
YOLO = "0 0.5 0.5 0.25 0.25\n"


@pytest.mark.parametrize(
    ("picture", "label", "content", "tool"),
    [
        ("a.jpg", "a.json", LABELME, "LabelMe"),
        ("a.jpg", "a.xml", VOC, "Pascal VOC"),
        ("a.jpg", "a.xml", '<?xml version="1.0"?>\n' + VOC, "Pascal VOC"),
        ("a.jpg", "a.txt", YOLO, "YOLO"),
        ("a.jpg", "a.txt", "", "YOLO"),
        ("a.jpg", "a.txt", "\n3 .1 .1 .2 .2 .3 .3\r\n", "YOLO"),
        ("a.b.jpg", "a.b.txt", YOLO, "YOLO"),
        ("JPEGImages/a.jpg", "Annotations/a.xml", VOC, "Pascal VOC"),
        ("images/train/a.jpg", "labels/train/a.txt", YOLO, "YOLO"),
        ("images/images/a.jpg", "images/labels/a.txt", YOLO, "YOLO"),
        ("photos/a.jpg", "labels/a.txt", YOLO, "YOLO"),
    ],
)
def test_labels_are_found(
    tmp_path: Path, picture: str, label: str, content: str, tool: str
) -> None:
    for name in (picture, label):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / label).write_text(content)
    assert label_beside(tmp_path / picture) == f"{tool}: {tmp_path / label}"


@pytest.mark.parametrize(
    ("label", "content"),
    [
        ("a.txt", "a cat on a mat\n"),
        ("a.txt", "1 0.5 0.5\n"),
        ("a.txt", "cat 0.5 0.5 0.25 0.25\n"),
        ("a.txt", "0.5 0.5 0.25 0.25 1\n"),
        ("a.json", '{"photoTakenTime": {}}'),
        ("a.xml", "<svg></svg>"),
        ("b.txt", YOLO),
        ("a.jpg.json", LABELME),
    ],
)
def test_other_files_are_no_labels(tmp_path: Path, label: str, content: str) -> None:
    (tmp_path / label).write_text(content)
    assert label_beside(tmp_path / "a.jpg") is None


def test_a_folder_called_so_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    assert label_beside(tmp_path / "a.jpg") is None
