import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grounded_ram.downloads import ASSETS, DIGESTS, WeightFile, find_whole
from grounded_ram.errors import UnknownNameError, WeightsError
from grounded_ram.weights import (
    CHECKPOINTS,
    Checkpoint,
    fetch,
    find_checkpoint,
    load_state_dict,
    missing,
    relocate,
)

ROWS = pytest.mark.parametrize("row", CHECKPOINTS.values(), ids=lambda row: row.name)
OFFICIAL = [row for row in CHECKPOINTS.values() if not row.name.endswith(":tiny")]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_CACHE", str(tmp_path / "cache"))


def local(folder: Path, **files: str) -> Checkpoint:
    """Make a checkpoint of files in a folder, by role."""
    rows = {
        role: WeightFile(name=name, source=f"file:{folder / name}") for role, name in files.items()
    }
    return Checkpoint(name="ram:mine", summary="mine", licence="MIT", files=rows)


@ROWS
def test_every_row_has_weights_and_a_config(row: Checkpoint) -> None:
    assert (
        {"weights", "config"}
        <= set(row.files)
        <= {
            "weights",
            "config",
            "vocab",
            "tags",
            "thresholds",
        }
    )
    assert row.licence
    assert row.summary


@ROWS
def test_every_download_has_a_digest(row: Checkpoint) -> None:
    for file in row.files.values():
        assert file.is_local or len(file.sha256 or "") == 64


def test_no_two_files_share_a_name_in_the_cache() -> None:
    files = {file for row in CHECKPOINTS.values() for file in row.files.values()}
    assert len({file.name for file in files}) == len(files)


@pytest.mark.parametrize("row", OFFICIAL, ids=lambda row: row.name)
def test_the_configs_of_official_checkpoints_are_packaged(row: Checkpoint) -> None:
    path = find_whole(row.files["config"])
    assert path is not None
    assert "model" in json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", ["ram:tiny", "grounding-dino:tiny", "sam:tiny"])
def test_the_tiny_checkpoints_are_whole_and_their_digests_are_listed(name: str) -> None:
    paths = fetch(CHECKPOINTS[name])
    digests = json.loads((ASSETS / "tiny" / DIGESTS).read_text("utf-8"))
    assert {path.name for path in paths.values()} <= set(digests)


def test_the_facts_of_shared_text_files_hold(shared: Path) -> None:
    row = CHECKPOINTS["ram:swin-l"]
    vocab = CHECKPOINTS["grounding-dino:swin-t"].files["vocab"]
    for file, path in [
        (row.files["tags"], shared / "assets" / "ram_tag_list.txt"),
        (row.files["thresholds"], shared / "assets" / "ram_tag_list_threshold.txt"),
        (vocab, shared / "golden" / "bert-base-uncased-vocab.txt"),
    ]:
        here = WeightFile(name="x", source=f"file:{path}", sha256=file.sha256, size=file.size)
        assert find_whole(here) == path


def test_an_unknown_checkpoint_is_answered_with_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match=r"'sam:vit-g'; did you mean 'sam:vit-"):
        find_checkpoint("sam:vit-g")


def test_another_package_brings_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "plug_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[grounded_ram.checkpoints]\nspotter:small = grounded_ram_row_of_another:ROW\n"
    )
    (tmp_path / "grounded_ram_row_of_another.py").write_text(
        "from grounded_ram.weights import Checkpoint\n"
        "ROW = Checkpoint(name='spotter:small', summary='s', licence='MIT', files={})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_checkpoint("spotter:small").name == "spotter:small"
    assert fetch(find_checkpoint("spotter:small")) == {}


def test_what_is_missing_is_named_with_what_to_type() -> None:
    row = CHECKPOINTS["ram:swin-l"]
    assert [file.name for file in missing(row)] == [
        "ram_swin_large_14m.pth",
        "ram_tag_list.txt",
        "ram_tag_list_threshold.txt",
    ]
    with pytest.raises(WeightsError) as caught:
        fetch(row)
    message = str(caught.value)
    for part in (
        "absent: ram_swin_large_14m.pth (5,625.6 MB",
        "absent: ram_tag_list.txt",
        "GROUNDED_RAM_OFFLINE",
        "`grounded-ram download ram:swin-l`",
        'preset="tiny"',
    ):
        assert part in message


def test_a_failed_download_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUNDED_RAM_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    file = WeightFile(name="ram.pth", source="http://127.0.0.1:9/ram.pth", sha256="0" * 64)
    row = Checkpoint(name="ram:far", summary="far", licence="MIT", files={"weights": file})
    with pytest.raises(
        WeightsError, match=r"could not be downloaded[^`]*`grounded-ram download ram:far"
    ):
        fetch(row)


def test_a_damaged_local_file_is_told_from_an_absent_one(tmp_path: Path) -> None:
    row = local(tmp_path, weights="ram.safetensors", config="ram.json")
    (tmp_path / "ram.json").write_text("{")
    files = {**row.files, "config": replace(row.files["config"], sha256="0" * 64)}
    with pytest.raises(WeightsError) as caught:
        fetch(replace(row, files=files))
    assert "absent: ram.safetensors" in str(caught.value)
    assert "damaged: ram.json" in str(caught.value)
    assert "Reinstall" in str(caught.value)


def test_fetch_gives_the_path_of_each_role(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert fetch(local(tmp_path, config="a.json")) == {"config": tmp_path / "a.json"}


def test_relocate_moves_packaged_files_and_no_others(tmp_path: Path) -> None:
    moved = relocate(CHECKPOINTS["grounding-dino:tiny"], tmp_path)
    assert moved.files["vocab"].source == f"file:{tmp_path / 'vocab.txt'}"
    assert moved.name == "grounding-dino:tiny"
    official = CHECKPOINTS["grounding-dino:swin-t"]
    assert relocate(official, tmp_path).files["weights"] == official.files["weights"]


def test_safetensors_come_back_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    half = torch.tensor([1.5, -2.0], dtype=torch.float16)
    save_file({"w": half, "ids": torch.arange(3), "on": torch.tensor([True])}, path)

    state = load_state_dict(path)

    assert {name: value.dtype for name, value in state.items()} == {
        "w": torch.float32,
        "ids": torch.int64,
        "on": torch.bool,
    }
    torch.testing.assert_close(state["w"], half.float(), rtol=0, atol=0)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapped", [True, False], ids=["model", "bare"])
def test_pytorch_files_of_every_kind_are_read(tmp_path: Path, zipped: bool, wrapped: bool) -> None:
    weights = {"module.a.weight": torch.ones(2, 3).half(), "module.n": torch.tensor(7)}
    content = {"model": weights, "optimizer": {"lr": 0.1}, "epoch": 3} if wrapped else weights
    path = tmp_path / "x.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)

    state = load_state_dict(path)

    assert set(state) == {"a.weight", "n"}
    assert state["a.weight"].dtype is torch.float32
    assert int(state["n"]) == 7


class Harmful:
    """A pickle that would write a file when read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.target, "harm")


@pytest.mark.parametrize("inside_torch", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, inside_torch: bool) -> None:
    target, path = tmp_path / "harm.txt", tmp_path / "x.pth"
    if inside_torch:
        torch.save({"model": Harmful(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Harmful(target), protocol=2))
    with pytest.raises(WeightsError, match=r"x\.pth cannot be read"):
        load_state_dict(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"PK\x03\x04" + bytes(200)])
def test_junk_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_state_dict(tmp_path / name)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_truncated_weights_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    weights = {"w": torch.arange(1000.0)}
    torch.save(weights, path) if name == "x.pth" else save_file(weights, path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_state_dict(path)


def test_an_absent_file_is_a_weights_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        load_state_dict(tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "holds no named tensors"),
        ([1, 2], "holds no named tensors"),
        ({"epoch": 3, "w": torch.ones(1)}, "other things than tensors: epoch"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=said):
        load_state_dict(tmp_path / "x.pth")
