import json
import re
from pathlib import Path

import pytest

from grounded_ram.checkpoints.checkpoint import Checkpoint
from grounded_ram.checkpoints.find import (
    CHECKPOINTS,
    find_checkpoint,
    relocate,
    with_own_files,
)
from grounded_ram.checkpoints.repositories import hub_checkpoint
from grounded_ram.downloads import WeightFile, find_whole
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.registry import BUILTIN
from grounded_ram.weights import fetch

ROWS = pytest.mark.parametrize("row", CHECKPOINTS.values(), ids=lambda row: row.name)
ADAPTERS = {name for table in BUILTIN.values() for name in table}
BACKENDS = [row for row in CHECKPOINTS.values() if row.name.split(":")[0] in ADAPTERS]
OFFICIAL = [row for row in BACKENDS if not row.name.endswith(":tiny")]
AUTHORS = [row for row in OFFICIAL if "/" not in row.name]
PINNED = [row for row in OFFICIAL if "/" in row.name]
ROLES = {
    *("weights", "config", "vocab", "tags", "thresholds", "names_zh"),
    *("preprocessor", "tokenizer"),
}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "cache"))


@ROWS
def test_every_row_says_what_it_is(row: Checkpoint) -> None:
    assert row.licence
    assert row.summary
    assert set(row.files) <= ROLES


@pytest.mark.parametrize("row", BACKENDS, ids=lambda row: row.name)
def test_every_backend_has_weights_and_a_config(row: Checkpoint) -> None:
    assert {"weights", "config"} <= set(row.files)


@ROWS
def test_every_download_has_a_digest_or_is_of_one_commit(row: Checkpoint) -> None:
    for file in row.files.values():
        pinned = re.fullmatch(r"hf://[^@]+@[0-9a-f]{40}/.+", file.source)
        assert file.is_local or pinned or len(file.sha256 or "") == 64


def test_no_two_files_share_a_name_in_the_cache() -> None:
    files = {file for row in CHECKPOINTS.values() for file in row.files.values()}
    assert len({file.name for file in files}) == len(files)


@pytest.mark.parametrize("row", AUTHORS, ids=lambda row: row.name)
def test_the_configs_of_official_checkpoints_are_packaged(row: Checkpoint) -> None:
    path = find_whole(row.files["config"])
    assert path is not None
    assert "model" in json.loads(path.read_text("utf-8"))


def test_the_facts_of_shared_text_files_hold(shared: Path) -> None:
    row = CHECKPOINTS["ram:swin-l"]
    vocab = CHECKPOINTS["grounding-dino:swin-t"].files["vocab"]
    tag2text = CHECKPOINTS["tag2text:swin-b"].files["tags"]
    chinese = CHECKPOINTS["ram-names:chinese"].files["names_zh"]
    for file, path in [
        (row.files["tags"], shared / "assets" / "ram_tag_list.txt"),
        (row.files["thresholds"], shared / "assets" / "ram_tag_list_threshold.txt"),
        (tag2text, shared / "assets" / "tag_list.txt"),
        (chinese, shared / "assets" / "ram_tag_list_chinese.txt"),
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


def test_a_repository_of_the_hub_is_a_checkpoint() -> None:
    row = find_checkpoint("transformers:owner/re.po@v1.0")
    assert row.name == "transformers:owner/re.po@v1.0"
    assert row.files["weights"].source == "hf://owner/re.po@v1.0/model.safetensors"
    assert {role for role, file in row.files.items() if not file.optional} == {"weights", "config"}
    assert len({file.name for file in row.files.values()}) == len(row.files)
    main = hub_checkpoint("transformers:owner/repo")
    assert main.files["config"].source == "hf://owner/repo@main/config.json"


@pytest.mark.parametrize("row", PINNED, ids=lambda row: row.name)
def test_a_pinned_repository_can_be_had_at_another_commit(row: Checkpoint) -> None:
    assert find_checkpoint(row.name) is row
    pinned = row.files["weights"].source
    other = find_checkpoint(f"{row.name}@main").files["weights"].source
    assert other == re.sub("@[0-9a-f]{40}/", "@main/", pinned) != pinned


def test_another_commit_of_a_pinned_repository_keeps_its_facts_but_the_digests() -> None:
    for row in PINNED:
        other = find_checkpoint(f"{row.name}@v2")
        assert (other.licence, other.terms, set(other.files)) == (
            (row.licence, row.terms, set(row.files))
        )
        assert other.files["weights"].sha256 is other.files["weights"].size is None
    assert find_checkpoint("sam3:facebook/sam3@v2").files["preprocessor"].source == (
        "hf://facebook/sam3@v2/processor_config.json"
    )
    dino = "transformers:IDEA-Research/grounding-dino-tiny"
    assert find_checkpoint(f"{dino}@v2").files["vocab"] == CHECKPOINTS[dino].files["vocab"]


def test_a_repository_whose_licence_forbids_uses_says_so() -> None:
    row = find_checkpoint("sam3:facebook/sam3@0123456")
    assert row.licence == "SAM License"
    assert "forbids military" in row.terms
    assert find_checkpoint("sam3:owner/repo").terms == ""


@pytest.mark.parametrize("place", ["a/b/c", "/b", "a/", "a/b@", "a/b@refs/x"])
def test_a_repository_is_written_in_one_way(place: str) -> None:
    with pytest.raises(InputError, match="expected 'adapter:owner/repo'"):
        find_checkpoint(f"transformers:{place}")


def test_relocate_moves_packaged_files_and_no_others(tmp_path: Path) -> None:
    moved = relocate(CHECKPOINTS["grounding-dino:tiny"], tmp_path)
    assert moved.files["vocab"].source == f"file:{tmp_path / 'vocab.txt'}"
    assert moved.name == "grounding-dino:tiny"
    official = CHECKPOINTS["grounding-dino:swin-t"]
    assert relocate(official, tmp_path).files["weights"] == official.files["weights"]


def test_files_of_the_users_own_take_the_place_of_others(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(b"weights")
    row = CHECKPOINTS["sam:vit-h"]
    own = with_own_files(row, {"weights": mine})
    assert own.files["weights"] == WeightFile(name="mine.pth", source=f"file:{mine}")
    assert own.files["config"] == row.files["config"]
    assert fetch(own)["weights"] == mine
    assert with_own_files(row, {}) == row


def test_files_of_the_users_own_must_be_there_and_have_a_use(tmp_path: Path) -> None:
    row = CHECKPOINTS["sam:vit-h"]
    with pytest.raises(InputError, match=r"no file '.*mine\.pth' to be the weights"):
        with_own_files(row, {"weights": tmp_path / "mine.pth"})
    with pytest.raises(UnknownNameError, match=r"'wieghts'; did you mean 'weights'"):
        with_own_files(row, {"wieghts": tmp_path})
