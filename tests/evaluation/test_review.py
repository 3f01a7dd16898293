from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation, Reason, Rejected
from grounded_ram.evaluation import review
from grounded_ram.evaluation.exhibits import Exhibit
from grounded_ram.evaluation.review import EACH, EACH_LABEL, MOST_LISTED, Review, collect
from grounded_ram.evaluation.tally import STEPS, median
from grounded_ram.export.dataset import Dataset
from tests.evaluation.picture_files import with_scores
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)
SQUARE = rectangle(SIZE, 5, 5, 15, 15)
SURE = {"tag_score": 0.9, "box_score": 0.9, "mask_score": 0.9, "label_score": 0.9}


def one(label: str, number: int, mask: NDArray[np.bool_] = SQUARE, **scores: float) -> Annotation:
    """A picture with one object, of good scores but for those given."""
    plain = annotate([(label, mask)], seed=number)
    plain = replace(plain, image=replace(plain.image, file_name=f"{label}-{number}.jpg"))
    return with_scores(plain, {key: [value] for key, value in {**SURE, **scores}.items()})


def of(*annotations: Annotation, **options: object) -> Review:
    return collect(Dataset.of(annotations), **options)


def section(found: Review, title: str) -> list[Exhibit]:
    """Return what a section of the queue shows; nothing if there is no such section."""
    return [one for part in found.queue if part.title == title for one in part.exhibits]


def names(exhibits: list[Exhibit]) -> list[str]:
    return [exhibit.name for exhibit in exhibits]


def test_no_pictures_make_an_empty_review() -> None:
    found = of()
    assert (found.pictures, found.objects, found.empty, found.failures) == (0, 0, 0, 0)
    assert (list(found.classes), list(found.sample), list(found.queue)) == ([], [], [])
    assert dict(found.facts) == {}


def test_a_picture_without_objects_is_counted_and_shown() -> None:
    found = of(annotate(ungrounded=("dog", "cat")))
    assert (found.pictures, found.objects, found.empty) == (1, 0, 1)
    assert [(c.label, c.objects, c.in_vain) for c in found.classes] == [
        ("cat", 0, 1),
        ("dog", 0, 1),
    ]
    assert all(math.isnan(median(c.box_scores)) for c in found.classes)
    assert names(section(found, "Pictures without an object")) == ["street.jpg"]
    (tags,) = section(found, "Tags without an object")
    assert tags.label == "dog"  # the surer one
    assert tags.why == [
        "tagger 0.90, but no box was found",
        "nor are there objects for cat 0.80",
    ]
    assert list(found.sample) == []


def test_tags_that_were_not_looked_for_are_not_missed() -> None:
    plain = annotate(ungrounded=("red", "dog"))
    reasons = {"red": Reason.KIND, "dog": Reason.NO_BOX_LEFT}
    found = of(replace(plain, ungrounded=reasons))
    assert [c.label for c in found.classes] == ["dog"]
    (tags,) = section(found, "Tags without an object")
    assert tags.why == ["tagger 0.80, but its boxes were rejected"]


def test_objects_and_pictures_are_counted_by_class() -> None:
    three = annotate([("dog", SQUARE), ("cat", SQUARE), ("dog", SQUARE)])
    box = [0.31, 0.999, 1.0]
    three = with_scores(three, {"box_score": box, "label_score": [0.2, 0.5, 0.204]})
    found = of(three, one("grass", 1), one("dog", 2), one("ant", 3))
    listed = [(c.label, c.kind, c.objects, c.pictures) for c in found.classes]
    assert listed == [
        ("dog", "object", 3, 2),
        ("ant", "object", 1, 1),
        ("cat", "object", 1, 1),
        ("grass", "stuff", 1, 1),
    ]
    assert (found.pictures, found.objects, found.empty) == (4, 6, 0)
    dog = found.classes[0]
    assert np.flatnonzero(dog.box_scores).tolist() == [31, 90, STEPS]
    assert np.flatnonzero(dog.label_scores).tolist() == [20, 90]
    assert dog.label_scores[20] == 2
    assert median(dog.box_scores) == pytest.approx(0.9)


def test_a_class_of_few_shows_all_the_best_first() -> None:
    scores = [0.3, 0.8, 0.5, 0.4, 0.9, 0.7]
    found = of(*(one("dog", n, label_score=score) for n, score in enumerate(scores)))
    (dog,) = found.classes
    assert list(dog.examples) == ["all"]
    shown = [round(e.scores["label_score"], 2) for e in dog.examples["all"]]
    assert shown == sorted(scores, reverse=True)


def test_a_class_of_many_shows_the_best_the_typical_and_the_weakest() -> None:
    scores = np.random.default_rng(1).permutation(np.linspace(0.01, 0.99, 41))
    found = of(*(one("dog", n, label_score=score) for n, score in enumerate(scores)))
    (dog,) = found.classes
    shown = {
        word: [e.scores["label_score"] for e in exhibits] for word, exhibits in dog.examples.items()
    }
    ordered = np.sort(scores)
    np.testing.assert_allclose(shown["best"], ordered[::-1][:EACH], rtol=1e-6)
    np.testing.assert_allclose(shown["weakest"], ordered[:EACH], rtol=1e-6)
    assert len(shown["typical"]) == EACH
    assert max(abs(score - ordered[20]) for score in shown["typical"]) < 0.06


def test_contradicted_objects_come_first_and_only_once() -> None:
    crops = [0.45, 0.2, 0.55, 0.3]
    pictures = [one(f"thing {n}", n, crop_score=crop) for n, crop in enumerate(crops)]
    pictures.append(one("blurred", 9, crop_score=0.1, label_score=0.2))
    found = of(*pictures)
    assert found.queue[0].title == "Contradicted by a second look"
    first = list(found.queue[0].exhibits)
    assert [e.label for e in first] == ["blurred", "thing 1", "thing 3", "thing 0"]
    assert first[0].why[:2] == [
        "seen alone, the tagger gives it only 0.10",
        "combined score only 0.20",
    ]
    assert [e.label for e in section(found, "Weakest labels")] == ["thing 2"]


def test_the_runs_own_rule_says_what_is_contradicted() -> None:
    picture = one("dog", 0, crop_score=0.45)
    assert section(of(picture, facts={"rules": {"least_crop_score": 0.4}}), CONTRADICTED) == []
    assert len(section(of(picture, facts={"rules": None}), CONTRADICTED)) == 1
    unknown = one("dog", 1, crop_score=math.nan)
    assert section(of(unknown), CONTRADICTED) == []


CONTRADICTED = "Contradicted by a second look"


def test_weak_and_disputed_labels_are_ranked_and_no_class_takes_all_places() -> None:
    weak = [one("dog", n, label_score=0.1 + n / 100) for n in range(8)]
    apart = [one("cat", n, tag_score=0.95, box_score=0.3 + n / 100) for n in range(5)]
    found = of(*weak, one("ant", 1, label_score=0.5), *apart)
    weakest = section(found, "Weakest labels")
    assert names(weakest)[: EACH_LABEL + 1] == ["dog-0.jpg", "dog-1.jpg", "dog-2.jpg", "ant-1.jpg"]
    assert sum(e.label == "dog" for e in weakest) == EACH_LABEL
    best = next(e for e in weakest if e.label == "cat")
    assert best.why[1] == "tagger 0.95, detector 0.30"


def test_a_mask_is_held_to_the_usual_size_of_its_class() -> None:
    usual = [one("dog", n, rectangle(SIZE, 0, 0, 10, 10 + n % 2)) for n in range(20)]
    large = one("dog", 50, rectangle(SIZE, 0, 0, 40, 40))
    found = of(*usual, large, one("cat", 1), one("cat", 2, rectangle(SIZE, 0, 0, 40, 60)))
    sizes = {e.name: why for part in found.queue for e in part.exhibits for why in e.why}
    told = [(name, why) for name, why in sizes.items() if "usual size" in why]
    mean = np.exp(np.mean(np.log([100] * 10 + [110] * 10 + [1600])))
    assert told == [("dog-50.jpg", f"{1600 / mean:.1f} times the usual size of dog")]

    small = one("dog", 51, rectangle(SIZE, 0, 0, 2, 2))
    shown = [why for part in of(*usual, small).queue for e in part.exhibits for why in e.why]
    mean = np.exp(np.mean(np.log([100] * 10 + [110] * 10 + [4])))
    assert f"{400 / mean:.0f} % of the usual size of dog" in shown


def test_few_objects_have_no_usual_size() -> None:
    few = [one("dog", n, rectangle(SIZE, 0, 0, 10, 10 + n % 2)) for n in range(6)]
    found = of(*few, one("dog", 50, rectangle(SIZE, 0, 0, 40, 60)))
    whys = [why for part in found.queue for e in part.exhibits for why in e.why]
    assert whys
    assert not [why for why in whys if "usual size" in why]


def test_equal_masks_are_all_of_usual_size() -> None:
    found = of(*(one("dog", n) for n in range(20)))
    assert section(found, "Unusual size") == []


def test_empty_and_unsure_masks_are_shown() -> None:
    empty = one("dog", 1, np.zeros(SIZE, bool))
    found = of(one("ant", 0, mask_score=0.2), empty)
    whys = {e.name: e.why for part in found.queue for e in part.exhibits}
    assert "its mask is empty" in whys["dog-1.jpg"]
    assert "mask score only 0.20" in whys["ant-0.jpg"]


def test_rejected_boxes_are_shown_by_score_but_not_the_usual_doubles() -> None:
    box = (1.0, 2.0, 30.0, 40.0)
    rejected = (
        Rejected("dog", 0.9, box, Reason.SAME_NAME, "dog"),
        Rejected("cat", 0.8, box, Reason.SAME_OBJECT, "dog"),
        Rejected("ant", 0.4, box, Reason.SMALL),
        Rejected("bee", 0.5, box, Reason.SMALL),
    )
    found = of(replace(one("dog", 0), rejected=rejected))
    shown = section(found, "Rejected boxes of good score")
    assert [e.label for e in shown] == ["cat", "bee", "ant"]
    assert shown[0].why == ["another label of the same object is better: dog"]
    assert shown[1].why == ["its mask is empty or too small"]
    assert shown[0].outlines[0].is_box
    assert found.rejected == 4


def test_failures_and_duplicates_are_counted_and_the_first_are_listed() -> None:
    many = ((f"{n}.jpg", "damaged") for n in range(MOST_LISTED + 7))
    found = of(failures=many, duplicates=[["a", "b", "c"], ["d", "e"]])
    assert (found.failures, len(found.failed)) == (MOST_LISTED + 7, MOST_LISTED)
    assert found.failed[0] == ("0.jpg", "damaged")
    assert (found.surplus, list(found.duplicates)) == (3, [["a", "b", "c"], ["d", "e"]])


def test_the_facts_are_the_callers_or_those_of_the_first_annotation() -> None:
    assert of(one("dog", 0)).facts == {"preset": "by hand"}
    assert of(one("dog", 0), facts={"preset": "mine"}).facts == {"preset": "mine"}


def test_what_is_kept_does_not_grow_with_the_dataset() -> None:
    reads: list[int] = []

    def read() -> Iterator[Annotation]:
        reads.append(0)
        lots = np.random.default_rng(0)
        for number in range(400):
            scores = {key: float(lots.uniform(0.1, 1)) for key in (*SURE, "crop_score")}
            yield one(f"class {number % 2}", number, **scores)

    dataset = Dataset.reading(read)
    reads.clear()
    found = collect(dataset)
    assert len(reads) == 2
    shown = [e for part in found.queue for e in part.exhibits]
    examples = [e for c in found.classes for exhibits in c.examples.values() for e in exhibits]
    assert len(examples) == 2 * 3 * EACH
    assert len(found.sample) == review.SAMPLE
    assert 0 < len(shown) <= review.SECTION * len(found.queue)
    again = collect(dataset)
    assert [e.key for e in again.sample] == [e.key for e in found.sample]
