from pathlib import Path

import pytest

from grounded_ram.errors import WeightsError
from grounded_ram.vocabulary.translations import read_translations


def test_names_are_paired_line_for_line(tmp_path: Path) -> None:
    files = {"tags": tmp_path / "tags.txt", "names_zh": tmp_path / "names.txt"}
    files["tags"].write_text("dog\nfire hydrant", encoding="utf-8")
    files["names_zh"].write_text("狗 \n消防栓\n", encoding="utf-8")  # the official list has spaces
    assert read_translations(files) == {"dog": "狗", "fire hydrant": "消防栓"}
    files["names_zh"].write_text("狗\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="got 1 names of 2 tags"):
        read_translations(files)


def test_every_official_tag_has_a_name(shared: Path) -> None:
    assets = shared / "assets"
    names = read_translations(
        {"tags": assets / "ram_tag_list.txt", "names_zh": assets / "ram_tag_list_chinese.txt"}
    )
    assert len(names) == 4585
    assert all(names.values())
    assert (names["3D CG rendering"], names["zoo"]) == ("三维CG渲染", "动物园")
    assert list(names)[:2] == ["3D CG rendering", "3D glasses"]
