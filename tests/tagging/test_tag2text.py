from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from grounded_ram.downloads import ASSETS
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.tagging.captions import CaptioningTagger
from grounded_ram.tagging.tag2text import load_tag2text, read_tag2text
from grounded_ram.vocabulary.table import official_vocabulary
from grounded_ram.weights import Checkpoint, WeightFile
from tests.golden_captions import read_json, tag2text_files

Pixels = NDArray[np.uint8]
CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


def row(files: dict[str, Path]) -> Checkpoint:
    return Checkpoint(
        name="tag2text:golden",
        summary="the golden case",
        licence="Apache-2.0",
        files={role: WeightFile(name=p.name, source=f"file:{p}") for role, p in files.items()},
    )


@pytest.fixture
def files(golden: Path, tmp_path: Path) -> dict[str, Path]:
    return tag2text_files(golden, tmp_path)


@pytest.fixture
def expected(golden: Path) -> dict[str, Any]:
    return read_json(golden / "tag2text" / "outputs.json")


@pytest.fixture
def picture(golden: Path) -> Pixels:
    with PILImage.open(golden / "preprocess" / "rgb.png") as opened:
        return np.array(opened.convert("RGB"))


def seen_in_golden_images(golden: Path, tagger: CaptioningTagger) -> list[str]:
    """The tags as the official code writes them: in list order, a name once a row."""
    images = torch.from_numpy(np.load(golden / "tag2text" / "inputs.npz")["image"]).float()
    with torch.inference_mode():
        scores = tagger.logits(images).sigmoid().numpy()
    lines = [np.flatnonzero(one > tagger.table.thresholds) for one in scores]
    return [" | ".join(tagger.table.names[i] for i in rows) for rows in lines]


def test_tags_are_the_official_ones(
    golden: Path, files: dict[str, Path], expected: dict[str, Any]
) -> None:
    tagger = load_tag2text(row(files), **CPU)
    assert seen_in_golden_images(golden, tagger) == expected["predicted_tags"]


def test_dropped_tags_are_gone_and_the_others_stay(
    golden: Path, files: dict[str, Path], expected: dict[str, Any], picture: Pixels
) -> None:
    every = load_tag2text(row(files), **CPU)
    fewer = load_tag2text(row(files), **CPU, dropped=[3, 0])
    assert seen_in_golden_images(golden, fewer) == expected["tags_after_delete_index_0_3"]
    kept = [i for i in range(20) if i not in (0, 3)]
    np.testing.assert_array_equal(fewer.scores([picture]), every.scores([picture])[:, kept])


def test_tags_that_the_config_drops_may_be_asked_for(
    golden: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    tags = read_json(tag2text_files(golden, tmp_path)["config"])["tags"]
    files = tag2text_files(golden, tmp_path, tags=tags | {"dropped": [0, 3]})
    fewer = load_tag2text(row(files), **CPU)
    assert seen_in_golden_images(golden, fewer) == expected["tags_after_delete_index_0_3"]
    assert "dog" not in fewer.tag([np.zeros((2, 2, 3), np.uint8)], threshold=0.0)[0].names
    every = load_tag2text(row(files), **CPU, dropped=[])
    assert seen_in_golden_images(golden, every) == expected["predicted_tags"]


def test_dropping_a_tag_that_is_not_there_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"dropped: tag2text:golden has tags 0 to 19, got \[20\]"):
        load_tag2text(row(files), **CPU, dropped=[3, 20])


def test_the_dropped_tags_do_not_guide_captions(
    golden: Path, files: dict[str, Path], picture: Pixels
) -> None:
    every = load_tag2text(row(files), **CPU)
    (tags,) = every.tag([picture])
    assert len(tags) > 2
    numbers = [i for i, name in enumerate(every.table.names) if name in tags.names]
    without = load_tag2text(row(files), **CPU, dropped=numbers)
    assert without.caption([picture]) == every.caption([picture], tags=[[]])
    assert without.caption([picture]) != every.caption([picture])


def test_a_row_gives_tags_and_captions_in_its_type(files: dict[str, Path], picture: Pixels) -> None:
    loaded = load_tag2text(row(files), device=torch.device("cpu"), dtype=torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    exact = load_tag2text(row(files), **CPU)
    assert 0 < np.abs(loaded.scores([picture]) - exact.scores([picture])).max() < 0.05
    assert loaded.caption([picture])[0]


def test_the_packaged_config_says_what_is_known_of_the_official_tags(shared: Path) -> None:
    settings = read_json(ASSETS / "configs" / "tag2text_swin_b.json")["tags"]
    names = (shared / "assets" / "tag_list.txt").read_text("utf-8").splitlines()
    from grounded_ram.tagging.tag2text import _read_table

    table = _read_table(names, settings)
    assert len(table) == 3429
    strict = {names[i] for i in np.flatnonzero(table.thresholds > np.float32(0.69))}
    assert strict == {"person", "man", "woman"}
    assert set(table.thresholds) == {np.float32(0.68), np.float32(0.7)}
    dropped = {names[i] for i in settings["dropped"]}
    assert dropped == {"quarter", "back", "two", "three", "four", "five", "one"}
    vocabulary = official_vocabulary()
    assert table.kinds[:3012] == tuple(vocabulary[name].kind for name in names[:3012])
    assert table.kinds[3012:3252] == ("action",) * 240
    assert table.kinds[3252:] == ("attribute",) * 177
    assert [names[i] for i in (3012, 3251, 3252, 3428)] == ["stare", "look", "classic", "thin"]


def test_a_thing_that_is_an_action_too_stays_a_thing(files: dict[str, Path]) -> None:
    """Both rows 16 and 17 of the list are "train": officially 114 names come twice or more."""
    _, table, _ = read_tag2text(files, "golden")
    assert table.names[16] == table.names[17] == "train"
    for thing, action, kind in (
        (0.7, 0.9, "object"),
        (0.9, 0.7, "object"),
        (0.1, 0.9, "action"),
    ):
        scores = np.zeros(20, np.float32)
        scores[[16, 17]] = thing, action
        tags = table.above(scores, None)
        assert (tags.names, tags.kinds, tags.scores.tolist()) == (
            ("train",),
            (kind,),
            [np.float32(0.9)],
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"windows": 7}}, "Tag2TextConfig has no field windows"),
        ({"model": {"embed_dim": "16"}}, "TypeError"),
        ({"tags": {"threshold": 0.5}}, "KeyError: 'thresholds'"),
        (
            {"tags": {"threshold": 0.5, "thresholds": {"20": 1}, "kinds": {}, "dropped": []}},
            "IndexError",
        ),
    ],
)
def test_settings_that_do_not_fit_are_an_error(
    golden: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    files = tag2text_files(golden, tmp_path, **change)
    with pytest.raises(WeightsError, match=f"golden: its config or tag list cannot .*{message}"):
        read_tag2text(files, "golden")


def test_a_list_of_another_length_is_an_error(files: dict[str, Path]) -> None:
    files["tags"].write_text("dog\n" * 25, "utf-8")
    with pytest.raises(WeightsError, match="the network has 20 tags, its list 25"):
        read_tag2text(files, "golden")


def test_weights_of_another_model_are_an_error(golden: Path, files: dict[str, Path]) -> None:
    files["weights"] = golden / "ram_tagging" / "state_dict.safetensors"
    with pytest.raises(WeightsError, match=r"of this Tag2Text: keys .*missing .*unknown"):
        read_tag2text(files, "golden")


def test_a_config_that_is_not_json_is_an_error(files: dict[str, Path]) -> None:
    files["config"].write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="golden: its config or tag list cannot be used"):
        read_tag2text(files, "golden")


def test_kinds_begin_where_the_config_says(files: dict[str, Path]) -> None:
    _, table, dropped = read_tag2text(files, "golden")
    assert table.kinds[17:] == ("action", "action", "attribute")
    assert "action" not in table.kinds[:17]
    assert set(dropped) == set()
