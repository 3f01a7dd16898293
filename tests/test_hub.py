"""The hub's files, from a server on this machine that answers as the hub does.

huggingface_hub reads its variables once, when it is imported: each download has its own process.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from grounded_ram import hub
from grounded_ram.downloads import WeightFile, find_whole, is_known_absent, locate
from grounded_ram.errors import InputError
from tests.file_host import CONTENT, Host, serve

REPOSITORY = Path(__file__).parents[1]
DIGEST = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL, SPACE = "/owner/repo/resolve/main/ram.pth", "/spaces/owner/repo/resolve/main/ram.pth"
SOURCE = "hf://owner/repo@main/ram.pth"


def row(**changes: Any) -> WeightFile:
    facts = {"name": "ram.pth", "source": SOURCE, "sha256": DIGEST, "size": len(CONTENT)}
    return WeightFile(**{**facts, **changes})


@pytest.fixture
def host() -> Iterator[Host]:
    with serve(
        Host(files={MODEL: CONTENT, SPACE: CONTENT}, tag=f'"{DIGEST}"', commit=COMMIT)
    ) as it:
        yield it


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hub"


def in_process(host: Host, code: str, **environment: str) -> str:
    """Run code where the hub is that server, and return all that it prints or says."""
    here = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    online = {
        "HF_ENDPOINT": host.address,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GROUNDED_RAM_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"from grounded_ram.downloads import *\n{code}"],
        cwd=REPOSITORY,
        env={**here, **online, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout


def get(file: WeightFile) -> str:
    return f"print(download({file!r}))"


def test_a_file_comes_from_the_endpoint_into_the_hubs_cache(host: Host, cache: Path) -> None:
    told = in_process(host, get(row()))
    path = locate(row())
    assert told == f"{path}\n"  # nothing is drawn where nobody asked for it
    assert path is not None
    assert cache in path.parents
    assert find_whole(row()) == path
    assert hub.commit(path) == COMMIT
    assert [one for one, _ in host.asked] == [MODEL]


def test_the_hubs_own_variables_say_where_its_cache_is(
    host: Host, tmp_path: Path, cache: Path
) -> None:
    told = in_process(host, get(row()), HF_HOME=str(tmp_path / "hf"))
    assert Path(told.strip()).is_relative_to(tmp_path / "hf" / "hub")
    assert not cache.exists()


def test_a_space_is_another_kind_of_repository(host: Host) -> None:
    file = row(source="hf-space://owner/repo@main/ram.pth")
    in_process(host, get(file))
    assert [one for one, _ in host.asked] == [SPACE]
    assert find_whole(file) is not None
    assert locate(row()) is None  # the model of that name is another


def test_a_mirror_of_any_kind_steps_in(host: Host) -> None:
    del host.files[MODEL]
    file = row(mirrors=("hf-space://owner/repo@main/ram.pth",))
    in_process(host, get(file))
    assert find_whole(file) is not None


def test_wrong_bytes_are_refused_and_replaced(host: Host) -> None:
    host.files[MODEL] = CONTENT[::-1]
    told = in_process(host, get(row()))
    assert f"has the SHA-256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}, expected" in told
    assert locate(row()) is not None
    assert find_whole(row()) is None

    host.files[MODEL] = CONTENT  # under the same name, as after damage on the disk
    in_process(host, get(row()))
    assert find_whole(row()) is not None


def test_owners_who_want_their_terms_accepted_are_named(host: Host) -> None:
    host.gated = True
    told = in_process(host, get(row()))
    assert f"accept their terms first: do so on {host.address}/owner/repo" in told
    assert "hf auth login" in told


def test_no_room_is_told_before_anything_is_asked(host: Host) -> None:
    small = "import shutil; shutil.disk_usage = lambda _: shutil._ntuple_diskusage(9, 9, 10**6)\n"
    told = in_process(host, small + get(row()))
    assert "no room for ram.pth, which needs 307.2 kB more" in told
    assert "set HF_HOME to a folder on another disk" in told
    assert host.heads == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_in_the_midst_is_told(host: Host) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    told = in_process(host, limit + get(row()))
    assert "DiskFullError: no room for ram.pth" in told


def test_a_file_that_a_repository_lacks_is_known_to_be_lacking(host: Host) -> None:
    file = row(name="vocab.txt", source="hf://owner/repo@main/vocab.txt", optional=True)
    assert not is_known_absent(file)
    assert "could not be downloaded" in in_process(host, get(file))
    assert is_known_absent(file)
    assert not is_known_absent(row())


def test_fetch_leaves_out_what_a_repository_lacks(host: Host) -> None:
    host.files = {f"/owner/repo/resolve/v1/{name}": b"{}" for name in ("config.json", "vocab.txt")}
    host.files["/owner/repo/resolve/v1/model.safetensors"] = CONTENT
    code = (
        "from grounded_ram.weights import fetch, find_checkpoint, missing\n"
        "row = find_checkpoint('transformers:owner/repo@v1')\n"
        "import json; print(json.dumps({role: str(path) for role, path in fetch(row).items()}))"
    )
    first = json.loads(in_process(host, code))
    assert list(first) == ["weights", "config", "vocab"]
    asked = len(host.heads)
    assert json.loads(in_process(host, code)) == first
    assert len(host.heads) == asked  # the second time the network is left alone
    offline = in_process(host, code, HF_HUB_OFFLINE="1")
    assert json.loads(offline) == first


def test_the_hub_can_be_off(host: Host) -> None:
    assert "could not be downloaded" in in_process(host, get(row()), HF_HUB_OFFLINE="1")
    assert host.heads == []


@pytest.mark.skipif(
    tuple(map(int, huggingface_hub.__version__.split(".")[:2])) < (0, 36),
    reason="an older huggingface_hub draws bars on terminals only",
)
@pytest.mark.parametrize("wanted", [True, False])
def test_the_hub_draws_bars_where_they_are_wanted(host: Host, wanted: bool) -> None:
    on_progress = "print" if wanted else "None"
    code = f"download({row()!r}, on_progress={on_progress})"
    told = in_process(host, code, TQDM_POSITION="-1")  # bars for others than terminals too
    assert ("307k/307k" in told) is wanted
    assert wanted or told == ""


def test_a_file_is_looked_for_in_the_hubs_own_layout(cache: Path) -> None:
    repo = cache / "models--owner--repo"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    snapshot = repo / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "ram.pth").write_bytes(CONTENT)

    assert find_whole(row()) == snapshot / "ram.pth"
    assert hub.commit(snapshot / "ram.pth") == "abc"
    assert find_whole(row(sha256="0" * 64)) is None
    assert locate(row(source="hf://owner/repo@main/other.pth")) is None


@pytest.mark.parametrize(
    "source", ["hf://repo@main/x", "hf://a/b/x", "hf://a/b@main", "hf://a/b@/x", "https://a/b@c/d"]
)
def test_a_source_is_written_in_one_way(source: str) -> None:
    with pytest.raises(InputError, match="expected hf://owner/repo@revision/path"):
        hub.split(source)
