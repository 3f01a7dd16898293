import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grounded_ram.downloads import ASSETS, DIGESTS, WeightFile
from grounded_ram.errors import WeightsError
from grounded_ram.weights import (
    CHECKPOINTS,
    Checkpoint,
    fetch,
    fetch_all,
    load_state_dict,
    missing,
    with_missing,
)
from tests.file_host import Host, serve


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "cache"))


def local(folder: Path, **files: str) -> Checkpoint:
    """Make a checkpoint of files in a folder, by role."""
    rows = {
        role: WeightFile(name=name, source=f"file:{folder / name}") for role, name in files.items()
    }
    return Checkpoint(name="ram:mine", summary="mine", licence="MIT", files=rows)


@pytest.mark.parametrize("name", ["ram:tiny", "grounding-dino:tiny", "sam:tiny"])
def test_the_tiny_checkpoints_are_whole_and_their_digests_are_listed(name: str) -> None:
    paths = fetch(CHECKPOINTS[name])
    digests = json.loads((ASSETS / "tiny" / DIGESTS).read_text("utf-8"))
    assert {path.name for path in paths.values()} <= set(digests)


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
        "absent: ram_swin_large_14m.pth (5.6 GB, hf://",
        "absent: ram_tag_list.txt",
        "GROUNDED_RAM_OFFLINE",
        "`grounded-ram download ram:swin-l`",
        'preset="tiny"',
    ):
        assert part in message


def test_a_failed_download_is_named_with_what_to_type(host: Host) -> None:
    with pytest.raises(
        WeightsError, match=r"could not be downloaded[^`]*404[^`]*`grounded-ram download ram:far"
    ):
        fetch(hosted(host, "far", weights="lost.pth"))


def test_a_damaged_local_file_is_told_from_an_absent_one(tmp_path: Path) -> None:
    row = local(tmp_path, weights="ram.safetensors", config="ram.json")
    (tmp_path / "ram.json").write_text("{")
    files = {**row.files, "config": replace(row.files["config"], sha256="0" * 64)}
    with pytest.raises(WeightsError) as caught:
        fetch(replace(row, files=files))
    assert "absent: ram.safetensors" in str(caught.value)
    assert "damaged: ram.json" in str(caught.value)
    assert "Name files that are there" in str(caught.value)


def test_a_damaged_package_is_to_be_reinstalled() -> None:
    row = Checkpoint(
        name="ram:x",
        summary="x",
        licence="MIT",
        files={"weights": WeightFile(name="x", source="package:tiny/not-there.safetensors")},
    )
    with pytest.raises(WeightsError, match="Reinstall the package"):
        fetch(row)


def hosted(host: Host, name: str, **files: str) -> Checkpoint:
    """Make a checkpoint of a server's files, by role."""
    rows = {
        role: WeightFile(name=f"{name}-{file}", source=f"{host.address}/{file}")
        for role, file in files.items()
    }
    return Checkpoint(
        name=f"ram:{name}", summary=name, licence="Mine", files=rows, terms="no selling"
    )


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    for name in ("GROUNDED_RAM_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Host()) as host:
        yield host


def test_terms_are_said_before_the_first_byte_and_not_again(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, int]] = []
    row = hosted(host, "a", weights="ram.pth")
    fetch(row, on_progress=lambda *_: told.append((caplog.text, len(host.asked))))
    assert "ram:a (Mine): no selling" in told[0][0]
    caplog.clear()
    assert list(fetch(row)) == ["weights"]
    assert caplog.text == ""
    assert len(host.asked) == 1


def test_after_a_download_no_network_is_needed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Host()) as gone:
        row = hosted(gone, "a", weights="ram.pth")
        paths = fetch(row)
    assert fetch(row) == paths
    monkeypatch.setenv("GROUNDED_RAM_OFFLINE", "1")
    assert fetch(row) == paths


def test_one_error_names_all_that_is_missing_of_several(host: Host) -> None:
    rows = [
        hosted(host, "a", weights="ram.pth"),
        hosted(host, "b", weights="lost.pth", tags="ram.pth"),
        hosted(host, "c", weights="ram.pth", tags="ram.pth"),
        CHECKPOINTS["ram:tiny"],
    ]
    with pytest.raises(WeightsError) as caught:
        fetch_all(rows)
    message = str(caught.value)
    assert missing(rows[0]) == []
    assert "'ram:b' are not all here" in message
    assert "absent: b-lost.pth" in message
    assert "404" in message
    assert "  ram:c: c-ram.pth" in message
    assert message.endswith("`grounded-ram download ram:b ram:c`")


def test_an_error_that_is_alone_stays_as_it_is() -> None:
    error = WeightsError("damaged")
    tiny = CHECKPOINTS["ram:tiny"]
    assert with_missing(error, [tiny]) is error
    assert with_missing(error, [CHECKPOINTS["sam:vit-h"], tiny]) is error


def test_a_file_that_need_not_be_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    row = local(tmp_path, config="a.json")
    lost = WeightFile(name="v", source="hf://owner/repo@main/vocab.txt", optional=True)
    row = replace(row, files={**row.files, "vocab": lost})
    assert missing(row) == []
    assert fetch(row) == {"config": tmp_path / "a.json"}


def test_fetch_gives_the_path_of_each_role(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert fetch(local(tmp_path, config="a.json")) == {"config": tmp_path / "a.json"}


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


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, zipped: bool) -> None:
    target, path = tmp_path / "harm.txt", tmp_path / "x.pth"
    content = {"model": {"w": torch.ones(2)}, "extra": Harmful(target)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"x\.pth is refused: .* run code .*__builtin__\.getattr"
    ):
        load_state_dict(path)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.read_text() == "harm"  # so it does harm where it is not refused


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_kind_that_would_run_code_is_refused(tmp_path: Path, protocol: int) -> None:
    target, path = tmp_path / "harm.txt", tmp_path / "x.pth"
    path.write_bytes(pickle.dumps(Harmful(target), protocol=protocol))
    with pytest.raises(WeightsError, match=r"x\.pth is refused: .*(getattr|write_text)"):
        load_state_dict(path)
    assert not target.exists()


def test_a_whole_network_is_told_from_damage(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"is refused: .*torch\.nn\.modules\.linear\.Linear"):
        load_state_dict(tmp_path / "x.pth")


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
