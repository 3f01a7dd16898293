import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.annotation import ImageFacts
from grounded_ram.evaluation.scoring import score, truth_of
from grounded_ram.scenes.scene import make_scene
from tests.hand_annotation import annotate, rectangle

Mask = NDArray[np.bool_]
SIZE = (40, 60)
LEFT = rectangle(SIZE, 5, 5, 25, 25)
NEAR_LEFT = rectangle(SIZE, 5, 9, 25, 29)  # IoU 2/3
FAR_LEFT = rectangle(SIZE, 5, 13, 25, 33)  # IoU 3/7
RIGHT = rectangle(SIZE, 10, 40, 30, 55)


def test_an_object_is_right_if_name_and_mask_fit() -> None:
    done = score(annotate([("car", LEFT), ("tree", RIGHT)]), annotate([("car", NEAR_LEFT)]))
    assert (done.right, done.missed, done.wrong) == (("car",), ("tree",), ())


@pytest.mark.parametrize(
    ("name", "mask"), [("car", FAR_LEFT), ("tree", LEFT), ("car", np.zeros(SIZE, bool))]
)
def test_a_wrong_name_or_place_or_no_mask_at_all_is_wrong(name: str, mask: Mask) -> None:
    done = score(annotate([("car", LEFT)]), annotate([(name, mask)]))
    assert (done.right, done.missed, done.wrong) == ((), ("car",), (name,))


def test_a_thing_found_twice_is_wrong_once() -> None:
    done = score(annotate([("car", LEFT)]), annotate([("car", NEAR_LEFT), ("car", LEFT)]))
    assert (done.right, done.missed, done.wrong) == (("car",), (), ("car",))


def test_tags_of_every_kind_are_compared() -> None:
    truth = annotate([("car", LEFT)], ungrounded=("red", "beach"))
    done = score(truth, annotate([("car", LEFT)], ungrounded=("red", "grass")))
    assert done.tags_right == ("car", "red")
    assert done.tags_missed == ("beach",)
    assert done.tags_wrong == ("grass",)


def test_nothing_against_nothing_is_nothing() -> None:
    done = score(annotate(), annotate())
    assert (done.right, done.missed, done.wrong, done.tags_right) == ((), (), (), ())
    assert score(annotate([("car", LEFT)]), annotate()).missed == ("car",)
    assert score(annotate(), annotate([("car", LEFT)])).wrong == ("car",)


@pytest.mark.parametrize("seed", range(5))
def test_counts_agree_with_counting_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def objects() -> list[tuple[str, Mask]]:
        corners = rng.integers(0, 20, (6, 2))
        names = [str(name) for name in rng.choice(["car", "tree"], 6)]
        masks = [rectangle(SIZE, y, x, y + 18, x + 20) for y, x in corners]
        return list(zip(names, masks, strict=True))

    true, found = objects(), objects()
    done = score(annotate(true), annotate(found))

    free = list(true)
    wrong = []
    for name, mask in found:  # annotate() scores them in falling order
        fits = [(iou(mask, other), i) for i, (its, other) in enumerate(free) if its == name]
        best, place = max(fits, default=(0.0, -1))
        if best >= 0.5:
            free.pop(place)
        else:
            wrong.append(name)
    assert sorted(done.missed) == sorted(name for name, _ in free)
    assert list(done.wrong) == wrong
    assert len(done.right) == len(true) - len(free)


def iou(a: Mask, b: Mask) -> float:
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


@pytest.mark.parametrize("seed", [3, 7])
def test_the_truth_of_a_scene_fits_itself(seed: int) -> None:
    scene = make_scene(seed)
    truth = truth_of(scene, ImageFacts("scene.png", scene.image.shape[:2], "0" * 64))
    masks = truth.masks.to_dense()
    for row, thing in enumerate(scene.objects):
        np.testing.assert_array_equal(masks[row], thing.mask)
    done = score(truth, truth)
    assert done.right == tuple(thing.name for thing in scene.objects)
    assert (done.missed, done.wrong, done.tags_missed, done.tags_wrong) == ((), (), (), ())


def test_a_scene_without_objects_has_an_empty_truth() -> None:
    seed = next(seed for seed in range(200) if not make_scene(seed).objects)
    scene = make_scene(seed)
    truth = truth_of(scene, ImageFacts(None, scene.image.shape[:2], "0" * 64))
    assert len(truth.detections) == 0
    assert score(truth, truth).tags_right == scene.tags.names
