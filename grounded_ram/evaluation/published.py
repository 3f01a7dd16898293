"""Official checkpoints held against what others published of them: does ours give the same?

This is what cannot be proved without the real weights. It downloads the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.errors import GroundedRAMError
from grounded_ram.evaluation.examples import CutMasks, Example, FoundBoxes, Object, SeenTags
from grounded_ram.evaluation.published_examples import EXAMPLES
from grounded_ram.images import Image, load_image
from grounded_ram.registry import Stage, find_factory
from grounded_ram.stages import Detector, Segmenter
from grounded_ram.weights import find_checkpoint

if TYPE_CHECKING:
    from grounded_ram.tagging.ram import TableTagger


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How near a checkpoint came to what was published.

    Args:
        example: What was compared.
        differences: What is off by more than the example allows, one sentence each.
        score_error: The largest error of a score; of tags, how far the score of one that is
            missing or too much is from its threshold. NaN if nothing was compared.
        pixel_error: The largest error of a side of a box, in pixels; NaN if none was compared.
        untried: Why the example could not be tried: weights, picture or library are missing.
    """

    example: Example
    differences: tuple[str, ...] = ()
    score_error: float = math.nan
    pixel_error: float = math.nan
    untried: str = ""

    @property
    def agrees(self) -> bool:
        """Whether everything was compared and found near enough."""
        return not (self.differences or self.untried)


def check_published(
    checkpoint_names: Iterable[str],
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    examples: Sequence[Example] = EXAMPLES,
) -> list[Outcome]:
    """Run checkpoints on the pictures that others published results for, and compare.

    Missing weights are downloaded as for any other use, unless downloads are off. Checkpoints are
    loaded one after the other and let go.

    Args:
        checkpoint_names: Backend names; those that nobody published a result of add no outcome.
        device: Where the networks run.
        dtype: As the adapters take it. The published numbers were computed in float32.
        examples: What to compare with.

    Returns:
        One outcome an example, checkpoint by checkpoint in the order given.

    Raises:
        InputError: A name is not that of a backend.
    """
    outcomes: list[Outcome] = []
    for name in dict.fromkeys(checkpoint_names):
        known = examples_of(name, examples)
        for stage in dict.fromkeys(example.expected.stage for example in known):
            of_stage = [example for example in known if example.expected.stage == stage]
            outcomes += _check_backend(stage, name, of_stage, device=device, dtype=dtype)
    return outcomes


def examples_of(checkpoint_name: str, examples: Sequence[Example] = EXAMPLES) -> list[Example]:
    """Return the examples of a checkpoint; one of the hub may be named with any revision."""
    name, _, _ = checkpoint_name.partition("@")
    return [example for example in examples if example.checkpoint == name]


def _check_backend(
    stage: Stage, name: str, examples: Sequence[Example], **options: Any
) -> list[Outcome]:
    try:
        backend: Any = find_factory(stage, name)(find_checkpoint(name), **options)
    except GroundedRAMError as error:
        return [Outcome(example=example, untried=str(error)) for example in examples]
    return [_check(backend, example) for example in examples]


def _check(backend: Any, example: Example) -> Outcome:
    expected = example.expected
    try:
        image = load_image(example.image).pixels
        if isinstance(expected, SeenTags):
            return _compare_tags(backend, image, example, expected)
        if isinstance(expected, FoundBoxes):
            return _compare_boxes(backend, image, example, expected)
        return _compare_masks(backend, image, example, expected)
    except GroundedRAMError as error:
        return Outcome(example=example, untried=str(error))


def _compare_tags(
    tagger: TableTagger, image: Image, example: Example, expected: SeenTags
) -> Outcome:
    margins = _margins(tagger, image, expected.words)
    off = {
        name: margins.get(name, -1.0)
        for name in sorted({*margins, *expected.names})
        if (margins.get(name, -1.0) > 0) != (name in expected.names)
    }
    return Outcome(
        example=example,
        differences=tuple(
            f"{name!r} is {'seen, and should not be' if margin > 0 else 'not seen'}: "
            f"its score is {abs(margin):.3f} {'above' if margin > 0 else 'below'} its threshold"
            for name, margin in off.items()
            if abs(margin) > expected.tolerance
        ),
        score_error=max(map(abs, off.values()), default=0.0),
    )


def _margins(tagger: Any, image: Image, words: Sequence[str]) -> dict[str, float]:
    """Return by how much each tag, or each of some words, is above its threshold."""
    asked: TableTagger = tagger.extended(words) if words else tagger
    (scores,) = asked.scores([image])
    margins: dict[str, float] = {}
    for name, margin in zip(asked.table.names, scores - asked.table.thresholds, strict=True):
        margins[name] = max(margins.get(name, -1.0), float(margin))
    return {name: margins[name] for name in words} if words else margins


def _compare_boxes(
    detector: Detector, image: Image, example: Example, expected: FoundBoxes
) -> Outcome:
    least = max(0.0, expected.threshold - expected.tolerance)
    (found,) = detector.detect([image], [Tags.of(expected.asked)], threshold=least)
    objects = _objects(found)
    pairs = _pairs(expected, objects, image.shape[:2])
    differences = [
        f"{_say(wanted)} is not found"
        for row, wanted in enumerate(expected.objects)
        if row not in pairs
    ]
    score_errors, pixel_errors = [math.nan], [math.nan]
    for row, place in pairs.items():
        wanted, one = expected.objects[row], objects[place]
        score_errors.append(abs(one.score - wanted.score))
        pixel_errors.append(_side_error(wanted, one, image.shape[:2]))
        if score_errors[-1] > expected.tolerance or pixel_errors[-1] > expected.pixels:
            differences.append(f"{_say(wanted)} is {_say(one)}")
    differences += [
        f"{_say(one)} is found, and should not be"
        for place, one in enumerate(objects)
        if place not in pairs.values() and one.score > expected.threshold + expected.tolerance
    ]
    return Outcome(
        example=example,
        differences=tuple(differences),
        score_error=float(np.fmax.reduce(score_errors)),
        pixel_error=float(np.fmax.reduce(pixel_errors)),
    )


def _objects(found: sv.Detections) -> list[Object]:
    columns = zip(
        found.data["class_name"],
        np.asarray(found.confidence).tolist(),
        found.xyxy.tolist(),
        strict=True,
    )
    return [Object(str(name), score, (x0, y0, x1, y1)) for name, score, (x0, y0, x1, y1) in columns]


def _pairs(
    expected: FoundBoxes, found: Sequence[Object], size_hw: tuple[int, ...]
) -> dict[int, int]:
    """Give each expected object, by its row, the found one that is most like it, likest first."""
    unlike = {
        (row, place): max(
            _side_error(wanted, one, size_hw) / expected.pixels,
            abs(one.score - wanted.score) / expected.tolerance,
        )
        for row, wanted in enumerate(expected.objects)
        for place, one in enumerate(found)
        if wanted.name in ("", one.name)
    }
    pairs: dict[int, int] = {}
    for row, place in sorted(unlike, key=unlike.__getitem__):
        if row not in pairs and place not in pairs.values():
            pairs[row] = place
    return pairs


def _side_error(wanted: Object, found: Object, size_hw: tuple[int, ...]) -> float:
    """Return the largest error of a published side; our boxes end where the image does."""
    height, width = size_hw
    inside = np.clip(wanted.xyxy, 0, (width, height, width, height))
    return float(np.nanmax(np.abs(np.array(found.xyxy) - inside)))


def _say(one: Object) -> str:
    sides = ", ".join("?" if math.isnan(side) else f"{side:.1f}" for side in one.xyxy)
    return f"{one.name or 'a box'} {one.score:.4f} [{sides}]"


def _compare_masks(
    segmenter: Segmenter, image: Image, example: Example, expected: CutMasks
) -> Outcome:
    boxes = np.array(expected.boxes, np.float32)
    if len(expected.scores[0]) > 1:
        scores = _scores_of_three(segmenter, image, boxes)
    else:
        (cut,) = segmenter.segment([image], [sv.Detections(boxes)])
        scores = np.asarray(cut.data["mask_score"])[:, None]
    errors = np.abs(scores - np.array(expected.scores))
    return Outcome(
        example=example,
        differences=tuple(
            f"box {box}: the masks' scores are {_numbers(found)}, published are {_numbers(wanted)}"
            for box, found, wanted, error in zip(
                expected.boxes, scores, expected.scores, errors, strict=True
            )
            if np.nanmax(error) > expected.tolerance
        ),
        score_error=float(np.nanmax(errors)),
    )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join("?" if math.isnan(value) else f"{value:.4f}" for value in values)


def _scores_of_three(
    segmenter: Any, image: Image, boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the (N, 3) scores of the masks that SAM has for an ambiguous prompt.

    A box is not ambiguous, so our adapter asks for the one mask that is meant for such prompts; the
    decoder is told, behind its back, to give the three instead.
    """

    def ask_for_all(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "multimask_output": True}

    hook = segmenter.model.mask_decoder.register_forward_pre_hook(ask_for_all, with_kwargs=True)
    try:
        (embedded,) = segmenter.embed([image])
        _, scores = segmenter.decode(embedded, boxes)
    finally:
        hook.remove()
    found: NDArray[np.float32] = scores.cpu().numpy()
    return found
