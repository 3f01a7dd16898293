from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.claims.__main__ import main


def test_the_claims_are_measured_from_nothing_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ("--pages", "16", "--tests", "12", "--steps", "2", "--clip-steps", "2")
    asked = ["claims", str(tmp_path), "--claims", "1,2,3,4", "--workers", "1", *sizes]
    monkeypatch.setattr(sys, "argv", asked)
    main()
    told = capsys.readouterr().out
    for row in ("points lost", "cleaned by regions: recall", "the teacher alone", "another tag"):
        assert row in told
    (tmp_path / "seed-0" / "start" / "model" / "config.json").unlink()  # needed to begin anew
    main()
    assert capsys.readouterr().out == told
