from pathlib import Path

import pytest

from grounded_ram.data_engine.labels import tag_lists
from grounded_ram.data_engine.labels.tag_lists import PUBLISHED, tag_list
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.weights import find_checkpoint


def test_a_file_has_a_tag_a_line(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes("\ufeffdog\r\n\r\n red  car\r\ndog\r\n".encode())
    assert tag_list(str(path)) == ("dog", "red car")


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe"])
def test_a_file_without_tags_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_bytes(data)
    with pytest.raises(InputError, match="one a line"):
        tag_list(str(tmp_path / "tags.txt"))


def test_a_list_that_is_no_utf8_says_which_line(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_bytes("dog\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"tags\.txt, line 2: .*save the file as UTF-8"):
        tag_list(str(tmp_path / "tags.txt"))


def test_what_is_neither_a_name_nor_a_file_is_refused() -> None:
    with pytest.raises(InputError, match="expected ram or tag2text, or a file"):
        tag_list("RAM")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_list_is_that_of_its_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tags.txt").write_text("dog\n")
    asked = []

    def find(file: object) -> Path:
        asked.append(file)
        return tmp_path / "tags.txt"

    monkeypatch.setattr(tag_lists, "find_whole", find)
    assert tag_list(name) == ("dog",)
    assert asked == [find_checkpoint(PUBLISHED[name]).files["tags"]]


def test_a_list_that_cannot_be_had_says_so() -> None:
    with pytest.raises(WeightsError, match="tag_list"):
        tag_list("ram")
