from __future__ import annotations

from pathlib import Path

import pytest

from grounded_ram.data_engine.reading.folders import layout_of
from grounded_ram.errors import InputError
from tests.data_engine.picture_folder import put, told


def test_captions_lie_beside_their_pictures(tmp_path: Path) -> None:
    put(
        tmp_path,
        "sub/deep/c d.webp",
        a__jpg="",
        a__txt="A dog.\r\n\r\n  It runs.  \r\nA dog.\n",
        b__PNG="",
        b__CAPTION="\ufeffEin Hund, Ünï 猫",
        x__y__jpeg="",
        x__y__txt="One.",
        x__y__caption="Two.",
    )
    put(tmp_path / "sub/deep", **{"c d__txt": "Deep."})
    good = {
        "a.jpg": ((), ("A dog.", "It runs.")),
        "b.PNG": ((), ("Ein Hund, Ünï 猫",)),
        "sub/deep/c d.webp": ((), ("Deep.",)),
        "x.y.jpeg": ((), ("Two.", "One.")),
    }
    assert told(tmp_path, tmp_path) == (good, [])
    assert told(f"captions:{tmp_path}", tmp_path) == (good, [])


def test_pictures_of_one_name_share_their_captions(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "a.png", a__txt="A dog.")
    assert told(tmp_path, tmp_path)[0] == dict.fromkeys(("a.jpg", "a.png"), ((), ("A dog.",)))


def test_pictures_and_captions_that_are_alone_are_told(tmp_path: Path) -> None:
    put(
        tmp_path,
        *("a.jpg", "alone.jpg", "bytes.jpg", "empty.jpg", "notes.md", ".hidden.jpg", "utf16.jpg"),
        *("yolo.jpg", "broken.jpg"),
        a__txt="A dog.",
        bytes__txt=b"\xff\xfe\xfd",
        empty__txt=" \n\n",
        readme__TXT="hello",
        utf16__txt="A dog.".encode("utf-16"),
        yolo__txt="0 0.5 0.5 0.2 0.2\n",
    )
    (tmp_path / "broken.txt").mkdir()
    good, bad = told(tmp_path, tmp_path)
    assert good == {"a.jpg": ((), ("A dog.",))}
    assert [row[:60] for row in bad] == [
        row[:60]
        for row in (
            "alone.jpg: no caption beside it: expected NAME.txt or NAME.caption",
            f"broken.jpg: its caption cannot be read: [Errno 21] Is a directory: '{tmp_path}'",
            "bytes.jpg: bytes that are no UTF-8; save the file as UTF-8: its caption",
            "empty.jpg: its caption is empty: 'empty.txt'",
            "readme.TXT: a caption without a picture beside it",
            "utf16.jpg: bytes that are no UTF-8; save the file as UTF-8: its caption",
            "yolo.jpg: labels of YOLO, no caption: 'yolo.txt'; try: grounded-ram convert",
        )
    ]


def test_a_caption_may_begin_with_a_number(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", a__txt="2 dogs run.\n1girl, solo\n")
    assert told(tmp_path, tmp_path)[0] == {"a.jpg": ((), ("2 dogs run.", "1girl, solo"))}


def test_a_sub_folder_is_a_class(tmp_path: Path) -> None:
    put(tmp_path, "dog/1.JPG", "hot_dog/1.jpg", "Ünï 猫/x y.png", "dog/notes.md", "labels.md")
    good = {
        "dog/1.JPG": (("dog",), ()),
        "hot_dog/1.jpg": (("hot dog",), ()),
        "Ünï 猫/x y.png": (("Ünï 猫",), ()),
    }
    assert told(tmp_path, tmp_path) == (good, [])
    assert told(f"classes:{tmp_path}", tmp_path) == (good, [])


def test_pictures_in_no_class_s_folder_are_told(tmp_path: Path) -> None:
    put(tmp_path, "dog/1.jpg", "train/cat/1.jpg", "top.jpg", "_/1.jpg")
    (tmp_path / "dog/gone.jpg").symlink_to(tmp_path / "nowhere")
    good, bad = told(f"classes:{tmp_path}", tmp_path)
    assert good == {"dog/1.jpg": (("dog",), ())}
    assert [row.partition(": ")[0] for row in bad] == [
        "_/1.jpg",
        "dog/gone.jpg",
        "top.jpg",
        "train/cat/1.jpg",
    ]
    assert "broken link" in bad[1]
    assert "FOLDER/CLASS/picture; 2 folders" in bad[3]


def test_an_empty_folder_of_a_layout_that_was_told(tmp_path: Path) -> None:
    for layout in ("classes", "captions"):
        with pytest.raises(InputError, match="there is no picture in the folder; put them there"):
            told(f"{layout}:{tmp_path}", tmp_path)


def test_a_caption_that_is_no_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", a__txt="A dog.", b__txt="One.\nA café.".encode("latin-1"))
    _, bad = told(tmp_path, tmp_path)
    assert [row.partition("UTF-8: ")[2] for row in bad] == ["its caption 'b.txt', line 2"]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["a.jpg", "a.txt"], "captions"),
        (["a.jpg", "a.TXT", "b.jpg"], "captions"),
        (["a.jpg", "sub/b.jpg", "sub/b.caption"], "captions"),
        (["sub/a.jpg", "sub/a.txt", "z.jpg"], "captions"),
        (["dog/a.jpg", "cat/b.jpg"], "classes"),
        (["dog/a.jpg", "readme.txt", "dog/list.txt"], "classes"),
        (["train/dog/a.jpg"], "classes"),
    ],
)
def test_where_pictures_and_captions_lie_tells_the_layout(
    tmp_path: Path, names: list[str], layout: str
) -> None:
    assert layout_of(put(tmp_path, *names)) == layout


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dog/a.jpg", "dog/a.txt", "cat/b.jpg"], "captions beside them: both may be meant"),
        (["a.jpg", "dog/b.jpg"], "pictures in the folder itself, and captions beside none"),
        (["a.jpg", "labels.csv"], "captions beside none.* table"),
        (["a.txt", "dog/b.md"], "got no picture"),
        ([], "got no picture"),
    ],
)
def test_another_folder_is_refused_with_both_spellings(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        layout_of(put(tmp_path, *names))
    assert f"Say 'captions:{tmp_path}' or 'classes:{tmp_path}'" in str(caught.value)


def test_splits_above_the_classes_are_told_as_a_whole(tmp_path: Path) -> None:
    put(tmp_path, "train/dog/a.jpg", "val/dog/b.jpg")
    with pytest.raises(InputError, match=r"none of 2 rows could be used.*FOLDER/CLASS/picture"):
        told(tmp_path, tmp_path)
    assert told(tmp_path / "train", tmp_path)[0] == {"train/dog/a.jpg": (("dog",), ())}


def test_a_long_folder_between_others_is_listed_again(tmp_path: Path) -> None:
    names = [f"{n:02}{end}" for n in range(30) for end in (".jpg", ".txt")]
    put(tmp_path, *names, *(f"{n:02}x/y.jpg" for n in range(30)))
    for path in tmp_path.glob("*.txt"):
        path.write_text(path.stem)
    good, bad = told(tmp_path, tmp_path)
    assert good == {f"{n:02}.jpg": ((), (f"{n:02}",)) for n in range(30)}
    assert len(bad) == 30
