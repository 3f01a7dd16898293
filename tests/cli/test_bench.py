import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.cli.root import app
from tests.benchmark.quick import lose_weights, small_rates

QUICK = ("--preset", "tiny", "--size", "96x64", "--tags", "3", "--repeat", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small_rates(monkeypatch)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_json_has_all_that_was_measured() -> None:
    done = run(*QUICK, "--boxes", 2, "--baseline", "--threads", 1, "--dtype", "float32", "--json")
    assert done.exit_code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["size_wh"] == [96, 64]
    assert (report["tags"], report["boxes"]) == (3, 2.0)
    assert report["versions"]["grounded_ram"]
    assert report["machine"]["processor"]
    assert report["machine"]["threads"] == 1
    assert set(report["machine"]["gemm_gflops"]) == {"float32", "bfloat16"}
    stages = {row["name"]: row for row in report["stages"]}
    assert stages["segment"]["backend"] == "sam:tiny"
    assert stages["segment"]["random_weights"] is False
    assert stages["segment"]["share_of_floor"] > 0
    assert stages["decode"]["share_of_floor"] is None
    assert {row["name"] for row in report["against_usual"]} == {"tag", "detect", "segment", "all"}
    assert all(row["ratio"]["least"] > 0 for row in report["against_usual"])
    assert set(report["memory"]) == {"host", "device", "host_with_usual", "device_with_usual"}


def test_the_tables_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lose_weights(monkeypatch)
    done = run(*QUICK, "--detector", "grounding-dino:absent", "--baseline", "--images", 2)
    assert done.exit_code == 0, done.stderr
    lines = [" ".join(line.replace("│", " ").split()) for line in done.stdout.splitlines()]
    assert lines[0] == (
        "tiny on cpu, float32; pictures: 2 of 96 x 64, 1 at a time; each measured 1x"
    )
    assert lines[1].startswith("in a picture: 3 tags (")
    assert ", 10.0 boxes, " in lines[1]
    rows = [line.split() for line in lines]
    for name in ("decode", "merge", "annotate", "encode", "overlay", "export"):
        assert [row[0] for row in rows if row].count(name) == 1
    assert [row[0] for row in rows if row].count("segment") == 2
    (detect,) = [row for row in rows if row[1:2] == ["grounding-dino:absent"]]
    assert detect[-1].endswith("%")
    assert "random weights: detect" in lines
    assert "the usual way cut 10.0 masks a picture in float32, one picture at a time" in lines
    for start in ("machine: ", "matrix product, GFLOP/s: float32 ", "copies, GB/s: host to host "):
        assert any(line.startswith(start) for line in lines)
    assert any("versions: grounded_ram" in line for line in lines)


def test_the_tagger_can_be_left_out() -> None:
    done = run(*QUICK, "--no-tagger", "--batch", 2, "--dtype", "bfloat16", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert "tag" not in {row["name"] for row in report["stages"]}
    assert (report["batch"], report["pictures"], report["dtype"]) == (2, 2, "bfloat16")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--size", "big"), "expected WIDTHxHEIGHT in pixels, as in 640x480; got 'big'"),
        (("--size", "1x1"), "expected sides of 16"),
        (("--images", "3", "--batch", "2"), "3 pictures (--images) are no multiple of 2"),
        (("--draw",), "say --baseline too"),
        (("--preset", "huge"), "unknown preset 'huge'"),
        (("--segmenter", "sam:vit-x"), "sam:vit-x"),
        (("--dtype", "float16"), "dtype must be"),
        (("--device", "abacus"), "device must be"),
        (("--boxes", "9999"), "do not fit side by side"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], told: str) -> None:
    done = run(*QUICK, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_networks_of_unknown_sizes_need_their_files() -> None:
    done = run(*QUICK, "--preset", "best", "--no-tagger")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "grounded-ram download transformers:iSEE-Laboratory/llmdet_large" in done.stderr
