from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import torch
from safetensors import safe_open

from grounded_ram.annotation import Reason, Tags
from grounded_ram.autolabel.run_folder import LOCK
from grounded_ram.data_engine.cleaning.cleaned_tags import UNREAD
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.data_engine.example_files import read_examples
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.scenes.scene import make_scene
from grounded_ram.training.improving import SEEN, believing
from grounded_ram.training.loop import Facts
from grounded_ram.training.networks import Start
from grounded_ram.training.rounds import Loop, Rounds, run_data_engine
from grounded_ram.training.tagger import Plan
from grounded_ram.training.thresholds import best_threshold
from grounded_ram.weights import load_state_dict
from tests.training.small import COLOURS, coloured_pictures, small_model
from tests.truth_stages import detections

THINGS = {"red": "car", "green": "tree", "blue": "dog"}
TAGS = tuple(THINGS.values())
DRAWN = ("person", "snail", "tree", "cup", "bird", "mushroom", "carrot", "umbrella")
FILES = {
    *("1-first", "data-engine.json", "2-generated.jsonl", "2-unreadable.jsonl", "3-cleaned.jsonl"),
    *("3-removed.jsonl", "3-untouched.json", "4-again"),
}


class StopError(Exception):
    pass


class Colours:
    """A detector of coloured squares; counts the pictures that it looks at."""

    looked = 0

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.looked += len(images)
        return [self._find(*pair) for pair in zip(images, tags, strict=True)]

    def _find(self, image: Image, tags: Tags) -> sv.Detections:
        rows = []
        for colour, name in THINGS.items():
            ys, xs = np.nonzero((image == COLOURS[colour]).all(-1))
            if name in tags.names and len(xs):
                rows.append((tags, name, 0.9, (xs.min(), ys.min(), xs.max(), ys.max())))
        return detections(rows)


class Seen:
    """What a loop told."""

    def __init__(self, stop: str = "") -> None:
        self.begun: list[str] = []
        self.done: dict[str, int] = {}
        self.bad: list[str] = []
        self._stop = stop

    @contextmanager
    def watch(self, step: str, total: int) -> Iterator[Callable[[int, Facts], None]]:
        self.begun.append(step)

        def update(done: int, facts: Facts) -> None:
            self.done[step] = done
            if step == self._stop:
                raise StopError

        yield update


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Pictures with some of their tags."""
    return [
        Example(one.image, names, (Caption("squares", names),))
        for one in coloured_pictures(tmp_path_factory.mktemp("data"), 12)
        for names in [tuple(THINGS[tag] for tag in one.tags[1:])]
    ]


PLAN = Plan(
    **{"steps": 6, "batch": 4, "learning_rate": 3e-3, "encoder_rate": 1.0, "least_crop": 1.0},
    **{"workers": 0, "device": "cpu", "dtype": "float32"},
)


def rounds(folder: Path, **changes: object) -> Rounds:
    plan = replace(PLAN, start=Start(folder=small_model(folder / "start")))
    return replace(Rounds(first=plan, finder={"preset": "tiny", "detector": Colours()}), **changes)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Drawn scenes with the right ones of some tags."""
    folder, rows = tmp_path_factory.mktemp("scenes"), []
    for seed in range(40):
        scene, path = make_scene(seed, size=128), folder / f"{seed}.png"
        PIL.Image.fromarray(scene.image).save(path)
        rows.append(Example(str(path), tuple(n for n in scene.tags.names if n in DRAWN)))
    return rows


@pytest.fixture(scope="module")
def captioned(scenes: list[Example]) -> list[Example]:
    """Twenty of the scenes, of whose tags some lack and some are wrong."""
    rng, rows = np.random.default_rng(1), []
    for one in scenes[:20]:
        names = tuple(name for name in one.tags if rng.random() < 0.6)
        wrong = DRAWN[rng.integers(len(DRAWN))]
        names += (wrong,) if rng.random() < 0.5 and wrong not in one.tags else ()
        rows.append(Example(one.image, names))
    return rows


REAL = Rounds(
    first=replace(PLAN, start=Start(backend="ram:tiny"), steps=2, learning_rate=3e-5),
    finder={"preset": "tiny"},
    cleaning=Cleaning(least_regions=5),
    unfound="remove",
)


@pytest.fixture(scope="module")
def loop(
    scenes: list[Example], captioned: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Loop, Seen]:
    """A loop over the tiny preset, which knows such scenes."""
    folder, seen = tmp_path_factory.mktemp("loop"), Seen()
    more = {"held_out": scenes[20:], "watch": seen.watch}
    return folder, run_data_engine(captioned, DRAWN, folder, REAL, **more), seen


def test_missing_tags_come_and_wrong_ones_go(
    loop: tuple[Path, Loop, Seen], scenes: list[Example], captioned: list[Example]
) -> None:
    folder, found, seen = loop
    assert {path.name for path in folder.iterdir()} == FILES | {LOCK}
    steps = [
        captioned,
        *(list(read_examples(folder / name)) for name in ("2-generated.jsonl", "3-cleaned.jsonl")),
    ]
    assert [one.image for one in steps[2]] == [one.image for one in captioned]
    truth = [set(one.tags) for one in scenes[:20]]
    missing, wrong = (
        [
            sum(len(miss(set(one.tags), t)) for one, t in zip(rows, truth, strict=True))
            for rows in steps
        ]
        for miss in (lambda had, right: right - had, lambda had, right: had - right)
    )
    assert missing[1] < 0.6 * missing[0]
    assert wrong[2] < wrong[0] / 2
    assert found.tags == tuple(sum(len(one.tags) for one in rows) for rows in steps)
    assert found.pictures == 20
    plan = json.loads((folder / "4-again/train.json").read_text())
    learnt = "".join(map(repr, steps[2]))
    assert plan["examples"] == {"count": 20, "digest": sha256(learnt.encode()).hexdigest()}
    assert found.best is found.again
    assert not np.isnan(found.best.mean_ap)
    assert seen.begun == ["1-first", "2-generated.jsonl", "3-cleaned.jsonl", "4-again"]
    assert seen.done == {
        **{"1-first": 2, "2-generated.jsonl": 20, "3-cleaned.jsonl": 20, "4-again": 2}
    }


def test_what_was_removed_is_told_with_the_reason_and_the_place(
    loop: tuple[Path, Loop, Seen],
) -> None:
    folder, found, _ = loop
    rows = [json.loads(line) for line in (folder / "3-removed.jsonl").read_text().splitlines()]
    before, after = (
        {(one.image, tag) for one in read_examples(folder / name) for tag in one.tags}
        for name in ("2-generated.jsonl", "3-cleaned.jsonl")
    )
    assert {(row["image"], row["tag"]) for row in rows} == before - after
    assert Counter(row["reason"] for row in rows) == found.removed
    assert found.removed[str(Reason.NO_BOX)] > 0
    for row in rows:
        assert (row["box_xyxy"] is None) == (row["reason"] == Reason.NO_BOX)


def test_a_loop_that_is_done_does_nothing_again(
    loop: tuple[Path, Loop, Seen], scenes: list[Example], captioned: list[Example]
) -> None:
    folder, found, _ = loop
    seen = Seen()
    more = {"held_out": scenes[20:], "watch": seen.watch}
    assert run_data_engine(captioned, DRAWN, folder, REAL, **more) == found
    assert seen.done == {}


def test_what_cleaning_saw_before_it_was_killed_is_not_looked_at_again(
    told: list[Example], tmp_path: Path
) -> None:
    how = rounds(tmp_path)
    detector: Colours = how.finder["detector"]
    whole = run_data_engine(told, TAGS, tmp_path / "whole", how)
    count = detector.looked
    with pytest.raises(StopError):
        run_data_engine(told, TAGS, tmp_path / "cut", how, watch=Seen("3-cleaned.jsonl").watch)
    assert detector.looked - count == 8
    assert (tmp_path / "cut" / SEEN).is_dir()
    again = run_data_engine(told, TAGS, tmp_path / "cut", how)
    assert detector.looked == 2 * count
    assert (again.tags, again.removed, again.untouched) == (
        whole.tags,
        whole.removed,
        whole.untouched,
    )
    for name in ("3-cleaned.jsonl", "3-removed.jsonl", "3-untouched.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for folder in ("cut", "whole"):
        assert not (tmp_path / folder / SEEN).exists()


@pytest.mark.parametrize("stop", ["1-first", "2-generated.jsonl", "3-cleaned.jsonl", "4-again"])
def test_a_loop_cut_off_in_any_step_ends_as_if_it_had_not_been(
    told: list[Example], tmp_path: Path, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.data_engine.generating._AT_ONCE", 4)
    how = rounds(tmp_path)
    whole = run_data_engine(told[:10], TAGS, tmp_path / "whole", how)
    with pytest.raises(StopError):
        run_data_engine(told[:10], TAGS, tmp_path / "cut", how, watch=Seen(stop).watch)
    left = sorted(path.name for path in (tmp_path / "cut").iterdir() if path.name != LOCK)
    assert [name for name in left if name.startswith(".") or name.endswith(".part")] == []
    assert stop not in left or (tmp_path / "cut" / stop).is_dir()
    seen = Seen()
    again = run_data_engine(told[:10], TAGS, tmp_path / "cut", how, watch=seen.watch)
    assert again.tags == whole.tags
    assert stop in seen.done
    assert all(step >= stop for step in seen.done)
    for name in ("2-generated.jsonl", "3-cleaned.jsonl", "3-removed.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for one, other in zip(_weights(whole), _weights(again), strict=True):
        assert torch.equal(one, other)


def test_other_settings_in_the_same_folder_are_refused(told: list[Example], tmp_path: Path) -> None:
    how = rounds(tmp_path)
    run_data_engine(told[:6], TAGS, tmp_path / "run", how)
    for other, held_out, what in (
        (replace(how, told=0.5), [], "told: 1.0 then, 0.5 now"),
        (replace(how, cleaning=Cleaning(share=0.5)), [], "cleaning.share: 0.1 then, 0.5 now"),
        (replace(how, finder={"preset": "tiny"}), [], "detector: .* then, .*tiny.* now"),
        (how, told[6:8], "held_out: "),
        (replace(how, first=replace(how.first, seed=3)), [], "seed: 0 then, 3 now"),
    ):
        with pytest.raises(InputError, match=what):
            run_data_engine(told[:6], TAGS, tmp_path / "run", other, held_out=held_out)
    faster = replace(how, finder={**how.finder, "device": "cpu", "batch_size": 4})
    run_data_engine(told[:6], TAGS, tmp_path / "run", faster)


def test_pictures_that_cannot_be_read_keep_their_tags_and_are_told(
    told: list[Example], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = Example(str(tmp_path / "broken.png"), ("car", "dog"))
    seen = Seen()
    how = rounds(tmp_path, unfound="remove")
    found = run_data_engine(
        *([broken, *told[:6]], TAGS, tmp_path / "run", how),
        on_bad=lambda path, reason: seen.bad.append(path),
    )
    assert next(read_examples(tmp_path / "run/3-cleaned.jsonl")) == broken
    assert seen.bad == [broken.image] * 2  # by what generates, and by what cleans
    assert found.unreadable == 1
    assert found.untouched[UNREAD] == 2
    (line,) = (tmp_path / "run/2-unreadable.jsonl").read_text().splitlines()
    assert json.loads(line)["image"] == broken.image


def test_tags_that_are_not_learnt_are_neither_counted_nor_looked_for(
    told: list[Example], tmp_path: Path
) -> None:
    example = Example(told[0].image, ("car", "violin"), (Caption("a violin", ("violin",)),))
    found = run_data_engine([example], ("car",), tmp_path / "run", rounds(tmp_path))
    assert found.tags[0] == 1
    (cleaned,) = read_examples(tmp_path / "run/3-cleaned.jsonl")
    assert "violin" not in cleaned.tags
    assert cleaned.captions == (Caption("a violin", ()),)


def test_the_second_model_begins_where_the_first_did_and_is_fine_tuned_from_where_it_ended(
    told: list[Example], tmp_path: Path
) -> None:
    how = rounds(tmp_path, cleaning=Cleaning(contradictions=False, share=0.0))
    found = run_data_engine(told[:12], TAGS, tmp_path / "run", how, fine_examples=told[:4])
    plans = [
        json.loads((tmp_path / "run" / name / "train.json").read_text())
        for name in ("1-first", "4-again", "5-fine")
    ]
    assert plans[0]["start"] == plans[1]["start"]
    assert plans[2]["start"]["folder"] == str(found.again.model.resolve())
    rates = [_groups(tmp_path / "run" / name)[0]["base_lr"] for name in ("1-first", "5-fine")]
    assert rates[1] == pytest.approx(rates[0] / 10)
    assert [plan["steps"] for plan in plans] == [6, 6, 2]
    assert found.best is found.fine
    assert found.fine is not None
    assert found.fine.pictures[0] == 4


def test_the_first_model_writes_captions_if_it_is_let(told: list[Example], tmp_path: Path) -> None:
    how = rounds(tmp_path)
    start = Start(folder=how.first.start.folder, captions=True)
    how = replace(how, first=replace(how.first, start=start), captions=True)
    run_data_engine(told[:4], TAGS, tmp_path / "run", how)
    generated = list(read_examples(tmp_path / "run/2-generated.jsonl"))
    assert all(one.captions[0].text == "squares" for one in generated)
    assert any(len(one.captions) == 2 for one in generated)


def test_of_pictures_that_tell_little_the_model_is_believed_more(
    told: list[Example], tmp_path: Path
) -> None:
    counts = {}
    for share in (1.0, 0.05):
        folder = tmp_path / str(share)
        run_data_engine(*(told[:6], TAGS, folder, rounds(tmp_path, told=share)), held_out=told[6:])
        generated = list(read_examples(folder / "2-generated.jsonl"))
        counts[share] = sum(len(one.tags) for one in generated)
    assert counts[0.05] > counts[1.0]


@pytest.mark.parametrize("shows", [None, "violin"])
def test_a_share_that_has_no_effect_is_told(
    told: list[Example], tmp_path: Path, shows: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    held_out = [] if shows is None else [Example(told[6].image, (shows,))]
    how = rounds(tmp_path, told=0.5)
    run_data_engine(told[:4], TAGS, tmp_path / "run", how, held_out=held_out)
    assert "told (--told) has no effect" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"told": 0.0}, "told: expected a share above 0"),
        ({"told": 1.5}, "told: expected a share above 0"),
        ({"captions": True}, "captions: the first model does not learn to write them"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Rounds(first=Plan(), **changes)


class Table:
    """A tagger that notes its thresholds."""

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        raise AssertionError

    def with_thresholds(self, own: dict[str, float], others: float | None = None) -> Table:
        self.own, self.others = own, others
        return self


def test_thresholds_of_what_is_told_in_part_are_those_of_the_whole_truth() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((40_000, 1)) < 0.2
    scores = np.clip(rng.normal(np.where(truth, 0.6, 0.4), 0.15), 0, 1).astype(np.float32)
    told = truth & (rng.random(truth.shape) < 0.25)
    right = best_threshold(scores[:, 0], truth[:, 0])
    assert best_threshold(scores[:, 0], told[:, 0]) > right + 0.03
    table = Table()
    believing(table, ["dog"], (scores, told), 0.25)
    assert table.own["dog"] == pytest.approx(right, abs=0.02)
    assert table.others == pytest.approx(right, abs=0.02)


def test_a_tag_of_few_held_out_pictures_gets_the_threshold_of_all_together() -> None:
    truth = np.zeros((20, 2), bool)
    truth[:10, 0] = truth[:2, 1] = True
    scores = np.where(truth, 0.9, 0.1).astype(np.float32)
    table = Table()
    believing(table, ["dog", "rare"], (scores, truth), 0.5)
    assert table.own == {"dog": pytest.approx(0.5)}
    assert table.others == pytest.approx(0.5)
    assert believing(table, ["dog"], (scores[:0, :1], truth[:0, :1]), 0.5) is table


def _weights(loop: Loop) -> list[torch.Tensor]:
    return list(load_state_dict(loop.best.model / "weights.safetensors").values())


def _groups(folder: Path) -> list[dict[str, float]]:
    """The groups of parameters of a training's first optimiser."""
    with safe_open(folder / "state.safetensors", framework="pt") as file:
        told = json.loads(file.metadata()["grounded_ram"])
    return list(told["optimizers"][0])
