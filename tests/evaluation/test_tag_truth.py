from pathlib import Path

import numpy as np
import pytest

from grounded_ram.errors import InputError
from grounded_ram.evaluation.tag_truth import TagCounts, TagSummary, read_tag_truth, summary


def write(folder: Path, **texts: str) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.txt" for name in texts}


def test_lists_as_recognize_anything_has_them(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        common_ram_annots="test/1,birthday cake,car\ntest/2\n",
        common_ram_taglist="car\nbirthday cake\ndog\n",
    )
    truth = read_tag_truth(files["common_ram_annots"])
    assert truth.pictures == {"test/1": {"birthday cake", "car"}, "test/2": set()}
    assert truth.names == ("car", "birthday cake", "dog")


def test_without_a_tag_list_the_tags_are_those_in_use(tmp_path: Path) -> None:
    files = write(tmp_path, true="1,dog\n2,car\n", tags="dog\ncar\nbus\nbus\n")
    assert read_tag_truth(files["true"]).names == ("car", "dog")
    assert read_tag_truth(files["true"], files["tags"]).names == ("dog", "car", "bus")
    assert read_tag_truth(write(tmp_path, none="")["none"]).names == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,dog\n1,cat", r"line 2: '1' comes twice"),
        ("1,dog\n,cat", r"line 2: expected a picture and its tags.*got ',cat'"),
        ("1,dog,,cat", r"line 1: expected a picture"),
        ("1,2317\n2,12,3\n", r"expected tags, got numbers, such as 12;.*ram_annots"),
        ("1,cow", r"'cow' is not among the tags of .*tags\.txt"),
    ],
)
def test_a_file_that_is_no_such_list(tmp_path: Path, text: str, message: str) -> None:
    files = write(tmp_path, true=text, tags="dog\ncat\n")
    with pytest.raises(InputError, match=rf"true\.txt(?s:.*){message}"):
        read_tag_truth(files["true"], files["tags"])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read"):
        read_tag_truth(tmp_path / "gone.txt")
    (tmp_path / "picture.txt").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match=r"picture\.txt: expected text in UTF-8"):
        read_tag_truth(tmp_path / "picture.txt")


@pytest.mark.parametrize("seed", range(3))
def test_the_means_are_those_of_batch_inference(seed: int) -> None:
    """CP, CR and mAP computed from full matrices, as RAM's evaluation script describes them."""
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random((30, 5)) < 0.4, rng.random((30, 5)), 0)
    truth = rng.random((30, 5)) < 0.3
    scores[:, 4] = 0  # never seen
    counts = TagCounts()
    for row, true in zip(scores, truth, strict=True):
        counts.add(
            {str(t) for t in np.flatnonzero(true)},
            {str(t): float(row[t]) for t in np.flatnonzero(row)},
        )
    seen = scores > 0
    right = (seen & truth).sum(0)
    found = summary(counts.scores())
    assert found.class_precision == pytest.approx(np.mean(right / np.maximum(seen.sum(0), 1)))
    assert found.class_recall == pytest.approx(np.mean(right / truth.sum(0)))
    assert found.overall_precision == pytest.approx(right.sum() / seen.sum())
    assert found.overall_recall == pytest.approx(right.sum() / truth.sum())
    each = []
    for column, true in zip(scores.T, truth.T, strict=True):
        # Precision at each true picture, with all pictures that score as much.
        at = [true[column >= column[i]].mean() for i in np.flatnonzero(true)]
        each.append(np.mean(at))
    assert found.map == pytest.approx(np.mean(each))


def test_no_pictures_and_no_truth() -> None:
    nothing = summary(TagCounts().scores())
    assert isinstance(nothing, TagSummary)
    assert np.isnan([nothing.map, nothing.class_recall, nothing.overall_precision]).all()
    counts = TagCounts()
    counts.add(set(), {"dog": 0.9})
    (dog,) = counts.scores()
    assert (dog.precision, dog.seen) == (0, 1)
    assert np.isnan([dog.recall, dog.ap]).all()
    counts.add({"cat"}, {})
    assert summary(counts.scores()).overall_recall == 0
    assert np.isnan(summary(counts.scores()).overall_precision)
