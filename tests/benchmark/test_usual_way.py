from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import torch
from segment_anything.modeling.common import MLPBlock
from segment_anything.modeling.image_encoder import Attention

from grounded_ram.annotation import Tags
from grounded_ram.benchmark.networks import Part, load_part
from grounded_ram.benchmark.timing import Clock
from grounded_ram.benchmark.usual_way import UsualWay, published_tagger
from grounded_ram.errors import InputError
from grounded_ram.scenes.scene import make_scene
from tests.benchmark.quick import CPU as CPU_OPTIONS
from tests.benchmark.quick import TINY, tiny_parts
from tests.truth_stages import Truth

CPU = torch.device("cpu")
SCENE = make_scene(7)
NAMES = tuple(SCENE.tags.select(["object"]).names)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    return tiny_parts(tmp_path)


def usual_way(parts: dict[str, Part], boxes: int | None = None) -> tuple[UsualWay, Clock]:
    clock = Clock(CPU)
    return UsualWay(parts, NAMES, boxes=boxes, device=CPU, clock=clock), clock


def test_masks_of_the_same_boxes_agree_with_ours(parts: dict[str, Part]) -> None:
    boxes = np.array([thing.box_xyxy for thing in SCENE.objects])
    assert len(boxes) > 1
    usual, _ = usual_way(parts)
    theirs = usual.segment(SCENE.image, boxes)
    given = sv.Detections(boxes, class_id=np.zeros(len(boxes), int))
    (cut,) = parts["segmenter"].stage.segment([SCENE.image], [given])
    ours = cut.mask.to_dense()
    assert theirs.dtype == np.bool_
    assert theirs.shape == ours.shape == (len(boxes), *SCENE.image.shape[:2])
    assert (ours.any((1, 2))).all()
    iou = (ours & theirs).sum((1, 2)) / (ours | theirs).sum((1, 2))
    assert iou.min() > 0.99


def test_no_boxes_are_no_masks(parts: dict[str, Part]) -> None:
    usual, _ = usual_way(parts)
    masks = usual.segment(SCENE.image, np.zeros((0, 4), np.float32))
    assert masks.shape == (0, *SCENE.image.shape[:2])


def test_the_layers_of_sam_are_the_published_ones(parts: dict[str, Part]) -> None:
    usual, _ = usual_way(parts)
    ours = parts["segmenter"].stage.model
    homes = {type(module).__module__.split(".")[0] for module in usual.predictor.model.modules()}
    assert "grounded_ram" not in homes
    block: Any = usual.predictor.model.image_encoder.blocks[0]
    assert (type(block.attn), type(block.mlp)) == (Attention, MLPBlock)
    assert type(ours.image_encoder.blocks[0].attn) is not Attention  # ours stay as they are
    theirs = usual.predictor.model.state_dict()
    assert all(theirs[key].data_ptr() == t.data_ptr() for key, t in ours.state_dict().items())


def test_the_tagger_runs_as_timm_ships_it(parts: dict[str, Part]) -> None:
    ours, theirs = parts["tagger"].stage.network, published_tagger(parts["tagger"])

    def fused(network: Any) -> set[bool]:
        return {m.fused_attn for m in network.modules() if hasattr(m, "fused_attn")}

    assert (fused(ours), fused(theirs)) == ({True}, {False})
    state = theirs.state_dict()
    assert all(state[key].data_ptr() == t.data_ptr() for key, t in ours.state_dict().items())
    picture = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.testing.assert_allclose(theirs(picture), ours(picture), rtol=0, atol=1e-4)


def test_it_finds_what_is_there(parts: dict[str, Part]) -> None:
    usual, clock = usual_way(parts)
    masks = usual.run(SCENE.image)
    best = [
        ((masks & thing.mask).sum((1, 2)) / (masks | thing.mask).sum((1, 2))).max()
        for thing in SCENE.objects
    ]
    assert sum(share > 0.5 for share in best) > len(best) / 2
    spent = clock.take()
    assert set(spent) == {"tag", "detect", "segment", "all"}
    assert spent["all"] >= spent["tag"] + spent["detect"] + spent["segment"] > 0


def test_its_boxes_are_named_by_the_likely_tokens(parts: dict[str, Part]) -> None:
    usual, _ = usual_way(parts)
    boxes, phrases = usual._detect(PIL.Image.fromarray(SCENE.image))
    assert len(boxes) == len(phrases) > 0
    words = {word for name in NAMES for word in name.split()}
    said = {word for phrase in phrases for word in phrase.partition("(")[0].split()}
    assert said & words


def test_a_fixed_number_of_boxes_is_cut(parts: dict[str, Part]) -> None:
    usual, _ = usual_way(parts, boxes=7)
    assert usual.run(SCENE.image).shape == (7, *SCENE.image.shape[:2])


def test_the_tagger_may_be_left_out(parts: dict[str, Part]) -> None:
    del parts["tagger"]
    usual, clock = usual_way(parts, boxes=1)
    usual.run(SCENE.image)
    assert set(clock.take()) == {"detect", "segment", "all"}


def test_the_usual_drawing_is_a_large_picture_with_the_masks_in_it(
    parts: dict[str, Part], tmp_path: Path
) -> None:
    usual, clock = usual_way(parts, boxes=2)
    usual.run(SCENE.image, tmp_path / "drawn.jpg")
    drawn = PIL.Image.open(tmp_path / "drawn.jpg")
    assert min(drawn.size) > 2000  # ten inches at 300 dots, less the margins
    small = np.asarray(drawn.convert("RGB").resize(SCENE.image.shape[1::-1]), float)
    changed = np.abs(small - SCENE.image).max(2) > 20
    assert 0.001 < changed.mean() < 0.9
    assert clock.take()["draw"] > 0


def test_other_stages_have_no_usual_way(parts: dict[str, Part]) -> None:
    other = Part("mine:own", Truth(), False)
    with pytest.raises(InputError, match=r"mine:own.*--segmenter sam:vit-h"):
        usual_way({**parts, "detector": other})
    with pytest.raises(InputError, match="tags by RAM, got 'mine:own'"):
        usual_way({**parts, "tagger": other})
    with pytest.raises(InputError, match="mine:own"):
        usual_way({**parts, "segmenter": replace(other)})


def test_tags_are_read_by_the_tagger(parts: dict[str, Part]) -> None:
    usual, _ = usual_way(parts)
    with torch.no_grad():
        told = usual._tag(PIL.Image.fromarray(SCENE.image))
    seen: Tags = parts["tagger"].stage.tag([SCENE.image])[0]
    assert len(set(told.split(", ")) & set(seen.names)) >= 0.8 * len(seen) > 0


def test_the_usual_way_is_never_compiled(tmp_path: Path) -> None:
    parts = {
        stage: load_part(stage, name, tmp_path, compile=True, **CPU_OPTIONS)
        for stage, name in TINY.items()
    }
    usual, _ = usual_way(parts)
    for network in (usual._tagger, usual.detector, usual.predictor.model):
        assert network is not None
        assert all(module._compiled_call_impl is None for module in network.modules())
