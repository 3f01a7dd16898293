from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
import transformers
from numpy.typing import NDArray
from packaging.version import Version
from safetensors.torch import load_file, save_file

from grounded_ram.annotation import Tags
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.prompted import preprocess
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.detection.transformers import (
    BLOCK_ENDS,
    CLASSES,
    TransformersDetector,
    load_transformers,
    refuse_faulty,
)
from grounded_ram.errors import InputError, MissingDependencyError, WeightsError
from grounded_ram.weights import Checkpoint
from tests.detection.found import assert_equal, assert_tags_are_read_once, columns
from tests.detection.small_networks import (
    SIDES,
    checkpoint,
    need,
    write_grounding_dino,
    write_mm_grounding_dino,
    write_owlv2,
)

Pixels = NDArray[np.uint8]
CPU = torch.device("cpu")
FAMILIES = ["grounding-dino", "mm-grounding-dino", "owlv2"]
PROMPTED = FAMILIES[:2]


@pytest.fixture(scope="module")
def rows(
    case: Path, golden_weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Checkpoint]:
    """The files of each family, written when first asked for; tests leave them as they are."""
    written: dict[str, Checkpoint] = {}

    def row(kind: str) -> Checkpoint:
        need(kind)
        if kind not in written:
            folder = tmp_path_factory.mktemp(kind)
            if kind == "grounding-dino":
                write_grounding_dino(folder, golden_weights)
            else:
                write = write_owlv2 if kind == "owlv2" else write_mm_grounding_dino
                write(folder)
            written[kind] = checkpoint(kind, folder, case / "vocab.txt")
        return written[kind]

    return row


@pytest.fixture(scope="module")
def detectors(rows: Callable[[str], Checkpoint]) -> Callable[[str], Any]:
    built: dict[str, Any] = {}

    def detector(kind: str) -> Any:
        if kind not in built:
            built[kind] = load(rows(kind))
        return built[kind]

    return detector


@pytest.fixture
def folder(request: pytest.FixtureRequest, rows: Any, tmp_path: Path) -> Path:
    """A copy of the files of Grounding-DINO, to be spoilt."""
    for file in rows("grounding-dino").files.values():
        path = Path(file.source.removeprefix("file:"))
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def load(row: Checkpoint, dtype: torch.dtype = torch.float32) -> Any:
    return load_transformers(row, device=CPU, dtype=dtype)


def of_folder(folder: Path) -> Checkpoint:
    return checkpoint("grounding-dino", folder, folder / "vocab.txt")


def assert_close(
    ours: sv.Detections, theirs: sv.Detections, *, boxes: float, scores: float
) -> None:
    """Compare boxes by place: those scored alike may come in any order."""
    assert len(ours) == len(theirs) > 0
    placed = [d[np.lexsort(d.xyxy.round(1).T)] for d in (ours, theirs)]
    (a, b) = (columns(d) for d in placed)
    np.testing.assert_allclose(a[0], b[0], rtol=0, atol=boxes)
    np.testing.assert_allclose(a[1], b[1], rtol=0, atol=scores)
    assert a[3].tolist() == b[3].tolist()


class TestAgreement:
    @pytest.mark.parametrize("row", [0, 1])
    def test_official_weights_under_published_names_give_the_official_answers(
        self,
        row: int,
        case: Path,
        captions: list[str],
        tokenizer: PromptTokenizer,
        detectors: Callable[[str], Any],
    ) -> None:
        stored = np.load(case / "outputs.npz")
        image = torch.from_numpy(np.load(case / "inputs.npz")[f"image{row}"]).float()[None]
        ids = [tokenizer.cls_id, *tokenizer.encode(captions[row]), tokenizer.sep_id]
        detector = detectors("grounding-dino")
        with torch.inference_mode():
            logits, boxes = detector._answer(detector._see(image), [0], tokenizer.batch([ids]))
        expected = stored[f"single{row}_pred_logits"]
        np.testing.assert_allclose(logits[..., : len(ids)], expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(boxes, stored[f"single{row}_pred_boxes"], rtol=0, atol=1e-5)

    def test_both_adapters_find_the_same(
        self,
        network: GroundingDINO,
        tokenizer: PromptTokenizer,
        pictures: list[Pixels],
        detectors: Callable[[str], Any],
    ) -> None:
        ours = GroundingDINODetector(
            network, tokenizer, short_side=SIDES["shortest_edge"], long_side=SIDES["longest_edge"]
        )
        names = [f"dog {n}" for n in range(99)] + ["fire hydrant", "person on a skateboard", "?a"]
        tags = [Tags.of(names), Tags.of(["train"]), Tags.of(names[-3:])]
        expected = ours.detect(pictures, tags, threshold=0.2)
        found = detectors("grounding-dino").detect(pictures, tags, threshold=0.2)
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b, boxes=1e-3, scores=1e-5)

    def test_tags_attend_to_themselves_alone_by_number(self, shared: Path) -> None:
        tokenizer = PromptTokenizer(shared / "golden" / "bert-base-uncased-vocab.txt")
        assert tokenizer.block_ends == BLOCK_ENDS

    @pytest.mark.parametrize("kind", PROMPTED)
    def test_detections_are_the_networks_answer_read_by_span(
        self,
        kind: str,
        tokenizer: PromptTokenizer,
        pictures: list[Pixels],
        detectors: Callable[[str], Any],
    ) -> None:
        detector = detectors(kind)
        ids = [
            tokenizer.cls_id,
            *tokenizer.encode("dog . fire hydrant . train ."),
            tokenizer.sep_id,
        ]
        spans = {"dog": [1], "fire hydrant": [3, 4, 5], "train": [7]}
        with torch.inference_mode():
            answer = detector.network(
                pixel_values=preprocess(pictures[0], 64, 110)[None], input_ids=torch.tensor([ids])
            )
        scores = torch.stack([answer.logits[0, :, s].sigmoid().mean(1) for s in spans.values()], 1)
        best = scores.max(1)
        order = best.values.argsort(descending=True, stable=True)
        size = np.array([*pictures[0].shape[1::-1]] * 2)
        x, y, w, h = answer.pred_boxes[0, order].numpy().T
        corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
        corners = (corners * size).clip(0, size)
        inside = (corners[:, :2] < corners[:, 2:]).all(1)

        (found,) = detector.detect(pictures[:1], [Tags.of(list(spans))], threshold=0.0)
        boxes, confidence, _, labels = columns(found)
        assert labels.tolist() == [list(spans)[n] for n in best.indices[order][inside]]
        assert len(set(labels)) > 1 or kind != "grounding-dino"  # else it depends on the version
        np.testing.assert_allclose(confidence, best.values[order][inside], rtol=0, atol=1e-5)
        np.testing.assert_allclose(boxes, corners[inside], rtol=0, atol=1e-2)

    @pytest.mark.parametrize("kind", PROMPTED)
    def test_blocks_make_the_features_of_whole_prompts(
        self,
        kind: str,
        tokenizer: PromptTokenizer,
        pictures: list[Pixels],
        detectors: Callable[[str], Any],
    ) -> None:
        detector, whole = detectors(kind), []
        texts = ("dog . fire hydrant . person on a skateboard .", "train . dog .")
        prompts = tokenizer.batch(
            [[tokenizer.cls_id, *tokenizer.encode(t), tokenizer.sep_id] for t in texts]
        )
        hook = detector.network.model.text_projection.register_forward_hook(
            lambda *call: whole.append(call[2])
        )
        try:
            with torch.inference_mode():
                detector.network(
                    pixel_values=preprocess(pictures[0], 64, 110)[None].expand(2, -1, -1, -1),
                    input_ids=prompts.ids,
                    attention_mask=prompts.real.long(),
                )
        finally:
            hook.remove()
        features = detector._text.features(prompts)
        torch.testing.assert_close(
            features[prompts.real], whole[0][prompts.real], rtol=0, atol=2e-6
        )

    @pytest.mark.parametrize("decoders", [True, False], ids=["decoder's names", "other names"])
    @pytest.mark.parametrize("said", [True, False], ids=["told in the config", "not told"])
    def test_each_layer_keeps_its_own_heads(
        self,
        said: bool,
        decoders: bool,
        tmp_path: Path,
        case: Path,
        tokenizer: PromptTokenizer,
        pictures: list[Pixels],
    ) -> None:
        network = write_mm_grounding_dino(tmp_path)
        weights = load_file(tmp_path / "model.safetensors")
        assert "model.decoder.bbox_embed.1.layers.0.weight" in weights
        if not decoders:
            shorter = {
                re.sub(r"model\.decoder\.(?=\w+_embed)", "", k): t for k, t in weights.items()
            }
            save_file(shorter, tmp_path / "model.safetensors")
        if not said:
            config = json.loads((tmp_path / "config.json").read_text("utf-8"))
            silent = {k: v for k, v in config.items() if not k.endswith("_embed_share")}
            (tmp_path / "config.json").write_text(json.dumps(silent), encoding="utf-8")
        loaded = load(checkpoint("mm-grounding-dino", tmp_path, case / "vocab.txt"))
        written = TransformersDetector(network, tokenizer, short_side=64, long_side=110)
        tags = [Tags.of(["dog", "train"])]
        found, expected = (d.detect(pictures[:1], tags, threshold=0.0) for d in (loaded, written))
        assert_equal(found[0], expected[0])
        for kind in ("bbox_embed", "class_embed"):
            decoder, last = (
                getattr(n, kind) for n in (loaded.network.model.decoder, loaded.network)
            )
            theirs = getattr(network, kind)[1].state_dict()
            for heads in (decoder, last):
                for name, tensor in heads[1].state_dict().items():
                    torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=0)


class TestEveryFamily:
    @pytest.mark.parametrize("kind", FAMILIES)
    def test_order_of_tags_changes_no_bit(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        names = ["car", "race car", "Car", "dog", "hot dog", "fire hydrant", "U.S. flag?"]
        (one,) = detectors(kind).detect(pictures[:1], [Tags.of(names)], threshold=0.1)
        (two,) = detectors(kind).detect(pictures[:1], [Tags.of(names[::-1])], threshold=0.1)
        assert len(set(one.data["class_name"])) > 1 or kind != "grounding-dino"
        for column in (0, 1, 3):
            np.testing.assert_array_equal(columns(one)[column], columns(two)[column])
        for found, asked in ((one, names), (two, names[::-1])):
            assert [asked[row] for row in columns(found)[2]] == list(found.data["class_name"])

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_neighbours_change_no_bit(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        tags = [Tags.of(["dog", "train"]), Tags.of([]), Tags.of([f"dog {n}" for n in range(99)])]
        together = detectors(kind).detect(pictures, tags, threshold=0.1)
        for picture, of_image, found in zip(pictures, tags, together, strict=True):
            (alone,) = detectors(kind).detect([picture], [of_image], threshold=0.1)
            assert_equal(alone, found)
        assert [len(found) > 0 for found in together] == [True, False, True]

    @pytest.mark.parametrize("kind", PROMPTED)
    def test_each_tag_is_read_once_and_what_was_asked_before_changes_no_bit(
        self, kind: str, pictures: list[Pixels], rows: Callable[[str], Checkpoint]
    ) -> None:
        detector, other = load(rows(kind)), load(rows(kind))
        text_encoder = detector.network.model.text_backbone
        assert_tags_are_read_once(detector, other, text_encoder, pictures)

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_no_tags_no_images_and_nothing_above_the_threshold(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        assert detectors(kind).detect([], [], threshold=0.3) == []
        tags = [Tags.of([]), Tags.of(["dog"])]
        for found in detectors(kind).detect(pictures[:2], tags, threshold=1.0):
            boxes, scores, rows_found, names = columns(found)
            assert (boxes.shape, boxes.dtype) == ((0, 4), np.float32)
            assert (scores.shape, scores.dtype) == ((0,), np.float32)
            assert (rows_found.shape, rows_found.dtype.kind) == ((0,), "i")
            assert (names.shape, names.dtype.kind) == ((0,), "U")

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_a_score_at_the_threshold_is_dropped(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        tags = [Tags.of(["dog", "train"])]
        (every,) = detectors(kind).detect(pictures[:1], tags, threshold=0.0)
        scores = columns(every)[1]
        at = float(scores[len(scores) // 2])
        (found,) = detectors(kind).detect(pictures[:1], tags, threshold=at)
        np.testing.assert_array_equal(columns(found)[1], scores[scores > at])

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_dots_and_slivers_have_boxes_inside_them(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (3, 900, 3), np.uint8)
        images = [noise[:1, :1], noise, np.ascontiguousarray(noise.transpose(1, 0, 2))]
        every = detectors(kind).detect(images, [Tags.of(["dog"])] * 3, threshold=0.0)
        for found, image in zip(every, images, strict=True):
            height, width = image.shape[:2]
            assert len(found) > 0 or kind == "owlv2"  # whose boxes may lie beside a sliver
            assert (found.xyxy >= 0).all()
            assert (found.xyxy <= np.array([width, height, width, height])).all()
            assert (found.xyxy[:, :2] < found.xyxy[:, 2:]).all()

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_bfloat16_comes_close(
        self,
        kind: str,
        pictures: list[Pixels],
        rows: Callable[[str], Checkpoint],
        detectors: Callable[[str], Any],
    ) -> None:
        tags = [Tags.of(["dog", "train"])]
        half = load(rows(kind), torch.bfloat16)
        (found,) = half.detect(pictures[:1], tags, threshold=0.0)
        (exact,) = detectors(kind).detect(pictures[:1], tags, threshold=0.0)
        assert found.xyxy.dtype == columns(found)[1].dtype == np.float32
        assert len(found) == len(exact)
        error = np.abs(columns(found)[1] - columns(exact)[1])
        assert 0 < np.median(error) < 0.02

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_tags_for_another_number_of_images(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        with pytest.raises(InputError, match="expected tags for 2 images, got 1"):
            detectors(kind).detect(pictures[:2], [Tags.of(["dog"])], threshold=0.3)

    @pytest.mark.parametrize("kind", FAMILIES)
    def test_nothing_stays_behind(
        self, kind: str, pictures: list[Pixels], detectors: Callable[[str], Any]
    ) -> None:
        detector = detectors(kind)

        def state() -> list[list[str]]:
            return [sorted(vars(module)) + sorted(module._modules) for module in modules]

        modules = list(detector.network.modules())
        before = state()
        first = detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.1)
        detector.detect(pictures[2:], [Tags.of(["train"])], threshold=0.1)
        assert list(detector.network.modules()) == modules
        assert state() == before
        assert_equal(first[0], detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.1)[0])


@pytest.mark.parametrize("kind", PROMPTED)
@pytest.mark.parametrize("count", [2, 300])
def test_many_tags_over_one_pass_of_the_backbone(
    kind: str, count: int, pictures: list[Pixels], detectors: Callable[[str], Any]
) -> None:
    detector, passes = detectors(kind), []
    names = [f"dog {number}" for number in range(count)]
    backbone = detector.network.model.backbone
    hook = backbone.register_forward_hook(lambda *_: passes.append(1))
    try:
        (found,) = detector.detect(pictures[:1], [Tags.of(names)], threshold=0.0)
    finally:
        hook.remove()
    assert passes == [1]
    _, scores, rows_found, labels = columns(found)
    assert [names[row] for row in rows_found] == list(labels)
    assert (np.diff(scores) <= 0).all()
    assert len(found) > 20 * (count // 100)  # each prompt gives its own boxes


@pytest.mark.parametrize("kind", PROMPTED)
def test_pictures_with_fewer_cells_than_queries_are_padded(
    kind: str, tokenizer: PromptTokenizer, detectors: Callable[[str], Any]
) -> None:
    small = TransformersDetector(detectors(kind).network, tokenizer, short_side=16, long_side=24)
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 3), np.uint8)
    images = [noise, np.ascontiguousarray(noise.transpose(1, 0, 2)), noise[:, :3], noise[:, :5]]
    seen: list[tuple[int, ...]] = []
    hook = small.network.model.backbone.register_forward_pre_hook(
        lambda _, inputs: seen.append((*inputs[0].shape[2:], *inputs[1].sum((1, 2)).tolist()))
    )
    try:
        every = small.detect(images, [Tags.of(["dog"])] * 4, threshold=0.0)
    finally:
        hook.remove()
    # 20 cells of 8 pixels a side, and how many pixels are the picture's
    assert seen == [(40, 26, 2 * 26), (26, 40, 2 * 26), (80, 16, 256), (56, 23, 14 * 23)]
    for found, image in zip(every, images, strict=True):
        assert len(found) > 0
        assert (found.xyxy[:, 2:] <= np.array(image.shape[1::-1])).all()


@pytest.mark.parametrize("kind", PROMPTED)
def test_larger_batches_come_close(
    kind: str,
    tokenizer: PromptTokenizer,
    pictures: list[Pixels],
    detectors: Callable[[str], Any],
) -> None:
    if Version(transformers.__version__) < Version("4.46"):
        pytest.skip("versions before 4.46 let the padding of unlike prompts in")
    one = detectors(kind)
    four = TransformersDetector(one.network, tokenizer, short_side=64, long_side=110, batch_size=4)
    tags = [Tags.of(["dog", "train"]), Tags.of([f"dog {n}" for n in range(99)]), Tags.of(["bus"])]
    batches: list[int] = []
    hook = one.network.model.backbone.register_forward_pre_hook(
        lambda _, inputs: batches.append(len(inputs[0]))
    )
    try:
        found = four.detect(pictures, tags, threshold=0.1)
    finally:
        hook.remove()
    assert batches == [2, 1]
    for ours, theirs in zip(found, one.detect(pictures, tags, threshold=0.1), strict=True):
        assert_close(ours, theirs, boxes=1e-2, scores=1e-4)


class TestLoading:
    @pytest.mark.parametrize("kind", FAMILIES)
    def test_no_network_is_asked(
        self, kind: str, rows: Callable[[str], Checkpoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("a socket was opened")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        detector = load(rows(kind))
        assert not any(weight.requires_grad for weight in detector.network.parameters())
        assert not detector.network.training

    @pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
    def test_weights_that_do_not_fit_are_refused_by_name(self, change: str, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        if change == "missing":
            del weights["model.text_projection.bias"]
        elif change == "unexpected":
            weights["model.caption_head.weight"] = torch.zeros(2)
        else:
            weights["model.text_projection.weight"] = torch.zeros(2, 2)
        save_file(weights, folder / "model.safetensors")
        names = {
            "missing": "model.text_projection.bias",
            "unexpected": "model.caption_head.weight",
            "shape": "model.text_projection.weight is ",
        }
        with pytest.raises(WeightsError, match=names[change]):
            load(of_folder(folder))

    def test_sizes_come_from_the_preprocessor(self, folder: Path, pictures: list[Pixels]) -> None:
        row = of_folder(folder)
        larger = {"size": {"shortest_edge": 96, "longest_edge": 99}}
        (folder / "preprocessor_config.json").write_text(json.dumps(larger), encoding="utf-8")
        detector = load(row)
        seen: list[torch.Size] = []
        detector.network.model.backbone.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].shape[-2:])
        )
        detector.detect(pictures[2:], [Tags.of(["dog"])], threshold=0.5)
        assert seen == [(96, 96)]

    @pytest.mark.parametrize("size", [{"height": 960, "width": 960}, 800, None])
    def test_a_preprocessor_of_another_kind_is_refused(self, size: Any, folder: Path) -> None:
        row = of_folder(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}), "utf-8")
        with pytest.raises(WeightsError, match="size as shortest_edge and longest_edge, got"):
            load(row)

    def test_files_of_a_repository_may_be_absent(self, folder: Path) -> None:
        row = of_folder(folder)
        files = dict(row.files)
        del files["preprocessor"]
        fewer = Checkpoint(name=row.name, summary="", licence="", files=files)
        assert load(fewer)._sides == (800, 1333)
        del files["vocab"]
        with pytest.raises(WeightsError, match=r"transformers:grounding-dino has no vocab.txt"):
            load(fewer)

    def test_a_model_of_another_family_is_refused(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"model_type": "detr"}), encoding="utf-8")
        expected = "model_type is one of grounding-dino, mm-grounding-dino, owlv2, got 'detr'"
        with pytest.raises(WeightsError, match=expected):
            load(of_folder(folder))

    def test_another_vocabulary_is_refused(self, folder: Path) -> None:
        lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
        (folder / "vocab.txt").write_text("\n".join(["new", *lines]), encoding="utf-8")
        with pytest.raises(WeightsError, match="has 1226 tokens, the text encoder 1225"):
            load(of_folder(folder))
        (folder / "vocab.txt").write_text("\n".join(["new", *lines[:-1]]), encoding="utf-8")
        with pytest.raises(WeightsError, match=r"as the tokens \(101, .*, got \(102, 103, 1013"):
            load(of_folder(folder))

    def test_an_older_library_is_told_what_to_install(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(CLASSES, "grounding-dino", ("GroundingDinoForTheFuture", "99.1"))
        with pytest.raises(MissingDependencyError, match=r"pip install 'transformers>=99.1'"):
            load(of_folder(folder))

    @pytest.mark.parametrize("version", ["5.0.0", "5.14.1", "5.22.2"])
    def test_versions_that_misread_prompts_are_refused(self, version: str) -> None:
        expected = rf"transformers {version} reads .* so that llmdet would .*transformers>=5.23"
        with pytest.raises(MissingDependencyError, match=expected):
            refuse_faulty(version, "llmdet")

    @pytest.mark.parametrize("version", ["4.40.0", "4.57.6", "5.23.0.dev0", "6.0.0"])
    def test_other_versions_are_not(self, version: str) -> None:
        refuse_faulty(version, "llmdet")


def test_every_family_is_tried() -> None:
    assert list(CLASSES) == FAMILIES
