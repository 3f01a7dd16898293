import numpy as np
import pytest

from grounded_ram.scenes.catalog import (
    ACTIONS,
    ATTRIBUTES,
    CATEGORIES,
    COLORS,
    FURTHER,
    PLAIN,
    VOCABULARY,
    further_names,
)
from grounded_ram.scenes.scene import Scene, make_scene
from grounded_ram.vocabulary.table import official_vocabulary


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed) for seed in range(250)]


def test_the_vocabulary_is_as_rich_as_promised() -> None:
    kinds = list(VOCABULARY.values())
    assert kinds.count("object") >= 32
    assert kinds.count("scene") >= 8
    assert kinds.count("attribute") >= 8
    assert kinds.count("action") >= 4


def test_further_words_are_what_the_vocabulary_knows_them_to_be() -> None:
    """Else one thing would keep two labels: they are merged by that table."""
    table = official_vocabulary()
    assert not set(FURTHER) & set(PLAIN)
    for word, categories in FURTHER.items():
        for category in CATEGORIES:
            assert table.is_a(category, word) == (category in categories), (category, word)
            assert (word in further_names(category)) == (category in categories)


def test_a_seed_gives_the_same_scene_and_another_seed_another() -> None:
    first, again, other = make_scene(5), make_scene(5), make_scene(6)
    np.testing.assert_array_equal(first.image, again.image)
    assert first.caption == again.caption
    assert first.tags.names == again.tags.names
    for a, b in zip(first.objects, again.objects, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
    assert not np.array_equal(first.image, other.image)


def test_every_word_of_the_vocabulary_comes_up(scenes: list[Scene]) -> None:
    seen = {name for scene in scenes for name in scene.tags.names}
    assert seen == set(VOCABULARY)


def test_counts_run_from_none_to_many(scenes: list[Scene]) -> None:
    counts = {len(scene.objects) for scene in scenes}
    assert min(counts) == 0
    assert max(counts) >= 7
    assert max(counts) <= 8


def test_sizes_span_one_to_six(scenes: list[Scene]) -> None:
    sides = [
        float(np.max(thing.box_xyxy[2:] - thing.box_xyxy[:2]))
        for scene in scenes
        for thing in scene.objects
    ]
    assert max(sides) / min(sides) >= 6


def test_masks_are_visible_pixels_and_boxes_are_tight(scenes: list[Scene]) -> None:
    overlapping = 0
    for scene in scenes[:60]:
        masks = np.array([thing.mask for thing in scene.objects], bool).reshape(-1, 256, 256)
        assert masks.sum(0).max(initial=0) <= 1  # a pixel shows one object
        for thing in scene.objects:
            x0, y0, x1, y1 = thing.box_xyxy.astype(int)
            inside = thing.mask[y0:y1, x0:x1]
            assert inside.sum() == thing.mask.sum() >= 30
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
        boxes = np.array([thing.box_xyxy for thing in scene.objects]).reshape(-1, 4)
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        overlapping += int(((high > low).all(-1).sum() - len(boxes)) > 0)
    assert overlapping >= 10


def test_some_objects_are_cut_by_the_border(scenes: list[Scene]) -> None:
    cut = [
        thing
        for scene in scenes
        for thing in scene.objects
        if thing.mask[0].any() or thing.mask[:, 0].any() or thing.mask[-1].any()
    ]
    assert len(cut) >= 20


def test_people_do_something_and_things_do_not(scenes: list[Scene]) -> None:
    for scene in scenes:
        for thing in scene.objects:
            assert thing.name in CATEGORIES
            assert (thing.action in ACTIONS) == (thing.name == "person")
            assert set(thing.attributes) <= set(ATTRIBUTES)
            assert thing.attributes[0] in COLORS


def test_the_attribute_shows_in_the_pixels() -> None:
    """Red things are redder than blue ones, which no label mix-up would survive."""
    tints: dict[str, list[float]] = {"red": [], "blue": []}
    for seed in range(150):
        scene = make_scene(seed)
        for thing in scene.objects:
            if thing.attributes[0] in tints:
                red, _, blue = scene.image[thing.mask].mean(0)
                tints[thing.attributes[0]].append(float(red - blue))
    assert min(len(v) for v in tints.values()) >= 20
    assert np.mean(tints["red"]) > 60
    assert np.mean(tints["blue"]) < -30


def test_tags_are_those_of_the_objects_and_places(scenes: list[Scene]) -> None:
    for scene in scenes[:80]:
        expected = set(scene.places)
        for thing in scene.objects:
            expected |= {thing.name, *thing.attributes} | ({thing.action} - {None})
            expected |= {word for word, names in FURTHER.items() if thing.name in names}
        assert set(scene.tags.names) == expected
        assert all(VOCABULARY[n] == k for n, k in zip(*_names_and_kinds(scene), strict=True))


def _names_and_kinds(scene: Scene) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return scene.tags.names, scene.tags.kinds


def test_the_caption_is_one_sentence_with_every_object(scenes: list[Scene]) -> None:
    for scene in scenes[:80]:
        assert scene.caption.endswith(".")
        assert scene.caption.count(".") == 1
        assert scene.caption[0].isupper()
        for thing in scene.objects:
            plural = {"person": "people", "bus": "buses", "butterfly": "butterflies"}
            stem = plural.get(thing.name, thing.name.removesuffix("us"))
            assert thing.name in scene.caption.lower() or stem in scene.caption.lower()


@pytest.mark.parametrize("size", [64, 256, 400])
def test_any_size(size: int) -> None:
    scene = make_scene(3, size=size)
    assert scene.image.shape == (size, size, 3)
    assert scene.image.dtype == np.uint8
    assert all(thing.mask.shape == (size, size) for thing in scene.objects)
