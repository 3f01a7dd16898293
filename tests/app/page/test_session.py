from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grounded_ram.app.page.session import LONGEST_WORD, MOST_WORDS, Session, Settings, own_folder
from grounded_ram.app.page.stage import findings_html
from grounded_ram.errors import InputError
from grounded_ram.exploration import Exploration
from grounded_ram.pipeline import GroundedRAM

Make = Callable[[], Session]


@pytest.fixture(scope="module")
def explored(model: GroundedRAM, picture: Path) -> Exploration:
    """What the networks say of one picture; tests look for names of their own in it."""
    return model.explore(picture)


@pytest.fixture
def make(model: GroundedRAM, explored: Exploration, tmp_path: Path) -> Make:
    """Makes sessions of that picture."""

    def made() -> Session:
        settings = Settings.of(model.preset)
        folder = own_folder(tmp_path)
        return Session(explored, folder, "a.png", settings=settings, gate=threading.Lock())

    return made


def names(session: Session) -> list[str]:
    return sorted(map(str, session.annotation.detections.data["class_name"]))


def calls(model: GroundedRAM) -> int:
    return model.detector.calls + model.segmenter.calls


def test_it_begins_with_the_labels_of_annotate(
    make: Make, model: GroundedRAM, picture: Path
) -> None:
    session, usual = make(), model.annotate(picture)
    assert names(session) == sorted(usual.detections.data["class_name"].tolist())
    assert session.on == set(usual.tags.names)
    assert session.annotation.image.file_name == "a.png"


def test_switching_off_and_on_again_runs_no_network_and_leads_back(
    make: Make, model: GroundedRAM
) -> None:
    session = make()
    before, asked = names(session), calls(model)
    session.toggle("cup", on=False)
    assert "cup" in before
    assert "cup" not in names(session)
    assert "cup" not in session.on
    session.toggle("cup", on=True)
    assert names(session) == before
    assert calls(model) == asked


def test_a_box_threshold_and_rules_run_no_network(make: Make, model: GroundedRAM) -> None:
    session, settings = make(), Settings.of(model.preset)
    before, asked = len(names(session)), calls(model)
    session.change(replace(settings, box_threshold=0.85))
    assert 0 < len(names(session)) < before
    session.change(replace(settings, rules=replace(settings.rules, least_pixels=4000)))
    assert 0 < len(names(session)) < before
    session.change(settings)
    assert len(names(session)) == before
    assert calls(model) == asked


def test_a_higher_tag_threshold_switches_tags_off_without_a_network(
    make: Make, model: GroundedRAM
) -> None:
    session = make()
    on, asked = session.on, calls(model)
    session.change(replace(Settings.of(model.preset), tag_threshold=0.9))
    assert session.on < on
    assert set(names(session)) <= session.on
    assert calls(model) == asked


def test_words_of_ones_own_are_looked_for_once(make: Make, model: GroundedRAM) -> None:
    session = make()
    asked = model.detector.calls
    session.add(" zebra ,  red   wagon, zebra")
    assert session.words == ["zebra", "red wagon"]
    assert session.on >= {"zebra", "red wagon"}
    found = model.detector.calls
    assert found > asked
    session.toggle("zebra", on=False)
    session.toggle("zebra", on=True)
    session.add("zebra")
    assert session.words == ["zebra", "red wagon"]
    assert model.detector.calls == found


def test_a_word_that_the_tagger_knows_switches_its_tag_on(make: Make) -> None:
    session = make()
    off = next(name for name in session.exploration.tags.names if name not in session.on)
    session.add(off.upper())
    assert session.words == []
    assert off in session.on


@pytest.mark.parametrize("text", ["", " , ,", "x" * (LONGEST_WORD + 1), "a\0b"])
def test_words_that_cannot_be_are_refused_and_change_nothing(make: Make, text: str) -> None:
    session = make()
    before = session.annotation
    with pytest.raises(InputError, match="expected"):
        session.add(text)
    assert session.words == []
    assert session.annotation is before


def test_too_many_words_are_refused_before_any_is_looked_for(
    make: Make, model: GroundedRAM
) -> None:
    session = make()
    asked, on = calls(model), session.on
    with pytest.raises(InputError, match=f"at most {MOST_WORDS}"):
        session.add(", ".join(f"word {n}" for n in range(MOST_WORDS + 1)))
    assert (session.words, session.on, calls(model)) == ([], on, asked)


def test_a_tag_that_the_picture_does_not_have_cannot_be_switched(make: Make) -> None:
    with pytest.raises(InputError, match="no tag 'unicorn'"):
        make().toggle("unicorn", on=True)


def test_a_switch_that_fails_stays_where_it_was(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make()
    on, before = session.on, session.annotation

    def fail(**options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(session.exploration, "decide", fail)
    with pytest.raises(MemoryError):
        session.toggle("cup", on=False)
    assert (session.on, session.annotation) == (on, before)


def test_only_what_runs_networks_waits_for_other_users(make: Make) -> None:
    session = make()
    with session._gate:
        session.toggle("cup", on=False)  # else this would wait for ever
        done = threading.Event()
        thread = threading.Thread(target=lambda: (session.add("walrus"), done.set()))
        thread.start()
        assert not done.wait(0.3)
    thread.join(30)
    assert done.is_set()


def test_closing_removes_the_folder(make: Make) -> None:
    session = make()
    assert session.folder.is_dir()
    session.close()
    session.close()
    assert not session.folder.exists()


def test_words_end_at_a_full_stop_but_not_inside_a_number(make: Make) -> None:
    session = make()
    session.add("zebra. red 1.5 wagon.")
    assert session.words == ["zebra", "red 1.5 wagon"]


def test_a_box_below_the_slider_is_told_from_no_box_without_a_network(
    make: Make, model: GroundedRAM
) -> None:
    session, settings = make(), Settings.of(model.preset)
    before, asked = set(names(session)), calls(model)
    session.change(replace(settings, box_threshold=0.99))
    gone = before - set(names(session))
    assert gone
    assert gone & set(session.annotation.ungrounded) <= session.below != frozenset()
    assert "its box scores below the threshold" in findings_html(session.annotation, session.below)
    assert calls(model) == asked
    session.change(settings)
    assert not session.below & before
