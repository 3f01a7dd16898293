from grounded_ram.benchmark.pictures import jpegs
from grounded_ram.images import load_image


def test_pictures_are_files_of_the_size_asked_for_each_another_one() -> None:
    files = jpegs(3, (90, 60))
    pictures = [load_image(file).pixels for file in files]
    assert [picture.shape for picture in pictures] == [(60, 90, 3)] * 3
    assert all(file.startswith(b"\xff\xd8") for file in files)
    assert len(set(files)) == 3
    assert all(picture.std() > 5 for picture in pictures)
    assert jpegs(3, (90, 60)) == files
