from pathlib import Path

import PIL.Image
import pytest

from grounded_ram.cli.output import OutputFolder
from grounded_ram.errors import InputError
from grounded_ram.export.files import write_picture


def picture(width: int = 8, height: int = 4) -> PIL.Image.Image:
    return PIL.Image.new("RGB", (width, height), "red")


def test_overlays_keep_their_folders_and_never_share_a_name(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    names = ["a.png", "a.jpg", "A.PNG", "deep/a.png", "x:y?.gif", "a.bmp", "a.bmp"]
    written = [output.write_overlay(picture(), name) for name in names]
    assert [path.relative_to(tmp_path / "overlays").as_posix() for path in written] == [
        "a.jpg",
        "a.jpg.jpg",
        "A.PNG.jpg",
        "deep/a.jpg",
        "x_y_.jpg",
        "a.bmp.jpg",
        "a-2.jpg",
    ]
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("name", ["../../a.png", "..", ".", "/etc/a.png"])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    output = OutputFolder(tmp_path / "out")
    path = output.write_overlay(picture(), name)
    assert (tmp_path / "out" / "overlays").resolve() in path.resolve().parents


def test_a_picture_too_long_for_jpeg_becomes_png(tmp_path: Path) -> None:
    path = OutputFolder(tmp_path).write_overlay(picture(65_501, 1), "strip.tif")
    assert path.name == "strip.png"
    with PIL.Image.open(path) as image:
        assert image.size == (65_501, 1)


def test_a_new_or_empty_folder_is_free(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "new").refuse_to_overwrite()
    OutputFolder(tmp_path).refuse_to_overwrite()


@pytest.mark.parametrize("name", ["annotations.coco.json", "results.json", "overlays"])
def test_results_that_are_there_are_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name}.*--overwrite"):
        OutputFolder(tmp_path).refuse_to_overwrite()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        OutputFolder(tmp_path / "file").refuse_to_overwrite()


def test_pictures_are_what_their_ending_says(tmp_path: Path) -> None:
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        write_picture(picture(), tmp_path / name)
        with PIL.Image.open(tmp_path / name) as image:
            assert image.format == kind
