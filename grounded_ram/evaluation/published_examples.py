"""What official checkpoints gave for public pictures: numbers that others published, and where.

Every number was read in the source named beside it, or follows from numbers there as the comment
says. Tolerances allow for another device and for pictures resized by another library, which move
scores by some thousandths; a wrong weight, channel order or preprocessing moves them by far more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from grounded_ram.evaluation.examples import (
    XYXY,
    CutMasks,
    Example,
    FoundBoxes,
    Object,
    SeenTags,
)

_NAN = math.nan
_GITHUB = "https://raw.githubusercontent.com"
_HUB = "https://huggingface.co"
_COCO = "https://s3.amazonaws.com/images.cocodataset.org/val2017"  # its own name has no certificate

_RAM = "xinyu1205/recognize-anything@7cb804a8609e9f4b1a50b7f31436d2df40bb9481"
_RAM_IMAGES = f"{_GITHUB}/{_RAM.replace('@', '/')}/images"
_RAM_README = "xinyu1205/recognize-anything@0523756b1d78b7ae8c4434c6c3b76f1d4a506dc3 README.md"


def _taggers() -> list[Example]:
    # RAM's script resized pictures bicubically, that of RAM++ bilinearly, as we do. Either way tags
    # can lie on the edge: others measured that RAM's "lamp" is within 0.001 of its threshold here.
    ram = (
        "armchair | blanket | lamp | carpet | couch | dog | floor | furniture | gray | green | "
        "living room | picture frame | pillow | plant | room | sit | stool | wood floor"
    )
    ram_plus = (
        "armchair | blanket | lamp | carpet | couch | dog | gray | green | hassock | home | lay | "
        "living room | picture frame | pillow | plant | room | wall lamp | sit | wood floor"
    )
    # Of 200 words RAM saw the first two here; the others are what RAM++ saw in the same picture.
    words = (
        "Black-and-white | Go-kart | Compact car | Horse racing | Sport utility vehicle | "
        "Touring car"
    )
    rows = (
        ("ram:swin-l", "demo/demo1.jpg", ram, "", 0.05),
        ("ram:swin-l", "openset_example.jpg", "Black-and-white | Go-kart", words, 0.05),
        ("ram-plus:swin-l", "demo/demo1.jpg", ram_plus, "", 0.02),
    )
    return [
        Example(
            checkpoint=checkpoint,
            image=f"{_RAM_IMAGES}/{picture}",
            expected=SeenTags(names=_list(names), words=_list(asked), tolerance=tolerance),
            source=_RAM_README,
        )
        for checkpoint, picture, names, asked, tolerance in rows
    ]


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(" | ")) if text else ()


def _transformers(commit: str, file: str) -> str:
    return f"huggingface/transformers@{commit} {file}"


_DINO_TEST = _transformers(
    "feca8d9c5ab807e803d639b7cf36fc3f58359b41",
    "tests/models/grounding_dino/test_modeling_grounding_dino.py",
)
_DINO_DOCS = _transformers(
    "0297569bcb42aafc176b281e95746ff537c62250", "docs/source/en/model_doc/grounding-dino.md"
)
_MM_TEST = _transformers(
    "8a51372ff3aa0d2f8eaeeaa61d36689af869ca30",
    "tests/models/mm_grounding_dino/test_modeling_mm_grounding_dino.py",
)
_MM_CONVERSION = _transformers(
    "e618a076c75e2e9ed10bdd039dce2892df5b593f",
    "src/transformers/models/mm_grounding_dino/convert_mm_grounding_dino_to_hf.py",
)
_OWL_DOCS = "huggingface/transformers 5.23.0 Owlv2ForObjectDetection.forward"
_CATS = f"{_COCO}/000000039769.jpg"
_CATS_WH = 640, 480


def _mean_score(*logits: float) -> float:
    """Return our score of a tag whose tokens have these logits."""
    return sum(1 / (1 + math.exp(-logit)) for logit in logits) / len(logits)


def _in_pixels(box: Sequence[float], size_wh: tuple[int, int] = _CATS_WH) -> XYXY:
    """Turn corners in [0, 1], as they were published, into pixels."""
    x0, y0, x1, y1 = box
    return x0 * size_wh[0], y0 * size_wh[1], x1 * size_wh[0], y1 * size_wh[1]


def _across(center: float, width: float) -> XYXY:
    """Return the box of which only cx and w, in [0, 1], were published: not its height."""
    return _in_pixels((center - width / 2, _NAN, center + width / 2, _NAN))


def _cats(checkpoint: str, source: str, expected: FoundBoxes) -> Example:
    return Example(checkpoint=checkpoint, image=_CATS, expected=expected, source=source)


def _dino(checkpoint: str) -> list[Example]:
    """Return the examples of Grounding-DINO, Swin-T, in whatever layout its weights come."""
    one = FoundBoxes(
        asked=("a cat",),
        threshold=0.35,
        objects=(
            Object("a cat", _mean_score(-0.1900, -0.2161), (344.8143, 23.1796, 637.4004, 373.8295)),
            Object("a cat", _mean_score(-0.3719, -0.3950), _across(0.2566, 0.4760)),
        ),
    )
    # Of the three tokens of "a remote control" the best one's score was published, not their mean.
    two = FoundBoxes(
        asked=("a cat", "a remote control"),
        threshold=0.4,
        objects=(
            Object("a cat", 0.4785, (344.6959, 23.1090, 637.1833, 374.2751)),
            Object("a cat", 0.4381, (12.2666, 51.9145, 316.8582, 472.4392)),
            Object("a remote control", 0.4776, (38.5742, 70.0015, 176.7838, 118.1806)),
        ),
        tolerance=0.06,
    )
    return [_cats(checkpoint, _DINO_TEST, one), _cats(checkpoint, _DINO_DOCS, two)]


# Scores and boxes in [0, 1] of "cat" and "remote", by the checkpoint's name on the hub.
_MM: Mapping[str, tuple[tuple[float, tuple[float, ...]], ...]] = {
    "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg": (
        (0.7722, (0.5212, 0.1594, 0.5792, 0.3895)),
        (0.7584, (0.5424, 0.0513, 0.9996, 0.7757)),
        (0.7984, (0.0629, 0.1526, 0.2746, 0.2447)),
        (0.7163, (0.0091, 0.1127, 0.4945, 0.9911)),
    ),
    "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det": (
        (0.5690, (0.5393, 0.0502, 0.9989, 0.7763)),
        (0.5553, (0.0090, 0.1125, 0.4950, 0.9895)),
        (0.6075, (0.5207, 0.1589, 0.5794, 0.3889)),
        (0.5775, (0.0625, 0.1519, 0.2750, 0.2446)),
    ),
    "openmmlab-community/mm_grounding_dino_base_o365v1_goldg_v3det": (
        (0.8418, (0.5427, 0.0502, 0.9996, 0.7770)),
        (0.8364, (0.0628, 0.1529, 0.2747, 0.2448)),
        (0.8342, (0.0085, 0.1132, 0.4947, 0.9898)),
        (0.7885, (0.5208, 0.1597, 0.5787, 0.3910)),
    ),
    "openmmlab-community/mm_grounding_dino_base_all": ((0.4713, (0.5423, 0.0507, 0.9998, 0.7761)),),
    "openmmlab-community/mm_grounding_dino_large_o365v2_oiv6_goldg": (
        (0.7824, (0.0082, 0.1133, 0.4945, 0.9889)),
        (0.8275, (0.5410, 0.0508, 0.9998, 0.7771)),
        (0.7715, (0.0632, 0.1526, 0.2740, 0.2439)),
        (0.8211, (0.5205, 0.1599, 0.5787, 0.3906)),
    ),
    "openmmlab-community/mm_grounding_dino_large_all": (
        (0.7373, (0.5424, 0.0509, 0.9997, 0.7765)),
        (0.6208, (0.0632, 0.1529, 0.2744, 0.2447)),
        (0.6913, (0.0121, 0.1125, 0.4947, 0.9884)),
        (0.4523, (0.5206, 0.1597, 0.5789, 0.3933)),
    ),
    "iSEE-Laboratory/llmdet_tiny": (
        (0.7262, (0.0114, 0.1132, 0.4947, 0.9854)),
        (0.7552, (0.5387, 0.0513, 0.9992, 0.7765)),
        (0.7656, (0.5212, 0.1605, 0.5788, 0.3890)),
        (0.8207, (0.0634, 0.1536, 0.2743, 0.2440)),
    ),
    "iSEE-Laboratory/llmdet_base": (
        (0.8646, (0.0632, 0.1529, 0.2745, 0.2438)),
        (0.7567, (0.5420, 0.0512, 0.9989, 0.7774)),
        (0.6978, (0.0110, 0.1134, 0.4950, 0.9875)),
        (0.8084, (0.5209, 0.1602, 0.5789, 0.3908)),
    ),
    "iSEE-Laboratory/llmdet_large": (
        (0.7107, (0.0147, 0.1128, 0.4957, 0.9858)),
        (0.8626, (0.0634, 0.1528, 0.2744, 0.2447)),
        (0.7458, (0.5414, 0.0511, 0.9997, 0.7776)),
        (0.8166, (0.5209, 0.1602, 0.5792, 0.3916)),
    ),
}


def _mm() -> list[Example]:
    """Return the examples of MM-Grounding-DINO and LLMDet."""
    converted = [
        _cats(
            f"transformers:{repository}",
            _MM_CONVERSION,
            FoundBoxes(
                asked=("cat", "remote"),
                threshold=0.4,
                objects=tuple(Object("", score, _in_pixels(box)) for score, box in objects),
            ),
        )
        for repository, objects in _MM.items()
    ]
    tested = FoundBoxes(
        asked=("a cat",),
        threshold=0.35,
        objects=(
            Object("a cat", _mean_score(-0.2143, -0.2089), (343.7321, 23.8182, 637.5044, 373.8593)),
            Object("a cat", _mean_score(-0.4269, -0.4169), _across(0.2557, 0.4812)),
        ),
    )
    tiny = "transformers:openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det"
    return [*converted, _cats(tiny, _MM_TEST, tested)]


def _owl() -> Example:
    # Computed on squares filled up with grey; ours are filled up with black. The queries were "a
    # photo of a cat" and "a photo of a dog", which is how our adapter writes these tags.
    found = FoundBoxes(
        asked=("cat", "dog"),
        threshold=0.1,
        objects=(
            Object("cat", 0.614, (341.67, 23.39, 642.32, 371.35)),
            Object("cat", 0.665, (6.75, 51.96, 326.62, 473.13)),
        ),
        tolerance=0.1,
        pixels=15.0,
    )
    return _cats("transformers:google/owlv2-base-patch16-ensemble", _OWL_DOCS, found)


_SAM_TEST = _transformers(
    "c0ae7a934696670fc1b8f592d31f68b8f4e541f8", "tests/models/sam/test_modeling_sam.py"
)
_SAM_CONVERSION = _transformers(
    "95c32a630512c78c692d472ce5f862d1af86335b", "src/transformers/models/sam/convert_sam_to_hf.py"
)
_SAM2_TEST = _transformers(
    "01841b341b64ab547cd2e30f09cb9c74929f50f2", "tests/models/sam2/test_modeling_sam2.py"
)
_EDGETAM_TEST = _transformers(
    "430bd51d2602a07aeea549a5f3a5491aafa4a43a", "tests/models/edgetam/test_modeling_edgetam.py"
)
_SAM3_TEST = _transformers(
    "2323ac6181dcac377e546acaa85f0f40abfc6fac", "tests/models/sam3/test_modeling_sam3.py"
)
_TRACKER_TEST = _transformers(
    "d85b0512529ed1188df3c3ec19159e6a81118c87",
    "tests/models/sam3_tracker/test_modeling_sam3_tracker.py",
)
_CAR = f"{_HUB}/ybelkada/segment-anything/resolve/main/assets/car.png"
_TRUCK, _GROCERIES = (
    f"{_HUB}/datasets/hf-internal-testing/sam2-fixtures/resolve/main/{name}.jpg"
    for name in ("truck", "groceries")
)
_TRUCK_BOXES: tuple[XYXY, ...] = (
    (75, 275, 1725, 850),
    (425, 600, 700, 875),
    (1375, 550, 1650, 800),
    (1240, 675, 1400, 750),
)
_GROCERIES_BOXES: tuple[XYXY, ...] = (
    (450, 170, 520, 350),
    (350, 190, 450, 350),
    (500, 170, 580, 350),
    (580, 170, 640, 350),
)


def _sam() -> list[Example]:
    small = CutMasks(
        boxes=((620, 900, 1000, 1255), (75, 275, 1725, 850)),
        scores=((0.9773, 0.9881, 0.9522), (0.5996, 0.7661, 0.7937)),
    )
    huge = CutMasks(boxes=((75, 275, 1725, 850),), scores=((_NAN, _NAN, 0.8686),))
    return [
        Example(checkpoint="sam:vit-b", image=_CAR, expected=small, source=_SAM_TEST),
        Example(checkpoint="sam:vit-h", image=_CAR, expected=huge, source=_SAM_CONVERSION),
    ]


def _trucks(
    checkpoint: str, source: str, truck: Sequence[float], groceries: Sequence[float]
) -> list[Example]:
    """Return the examples of SAM 2 and what follows it: one mask for each of eight boxes."""
    pictures = ((_TRUCK, _TRUCK_BOXES, truck), (_GROCERIES, _GROCERIES_BOXES, groceries))
    return [
        Example(
            checkpoint=checkpoint,
            image=image,
            expected=CutMasks(boxes=boxes, scores=tuple((score,) for score in scores)),
            source=source,
        )
        for image, boxes, scores in pictures
    ]


def _sam3_concept() -> Example:
    # Of the best box the source has the score without the presence factor, 0.9381, and the corners
    # in [0, 1]; of the other one both scores, 0.9214 and 0.9210. Both share the factor.
    found = FoundBoxes(
        asked=("ear",),
        threshold=0.5,
        objects=(
            Object(
                "ear",
                0.9381 * 0.9210 / 0.9214,
                _in_pixels((0.4704, 0.2014, 0.5615, 0.3770), (640, 425)),
            ),
            Object("ear", 0.9210, (402.1755, 90.1420, 459.6165, 156.3702)),
        ),
    )
    image = f"{_COCO}/000000077595.jpg"
    return Example(checkpoint=_SAM3, image=image, expected=found, source=_SAM3_TEST)


_SAM3 = "sam3:facebook/sam3"

EXAMPLES: tuple[Example, ...] = (
    *_taggers(),
    *_dino("grounding-dino:swin-t"),
    *_dino("transformers:IDEA-Research/grounding-dino-tiny"),
    *_mm(),
    _owl(),
    *_sam(),
    # Since transformers 4.57; earlier ones embedded boxes in another way than the official code.
    *_trucks(
        "sam2:facebook/sam2.1-hiera-tiny",
        _SAM2_TEST,
        (0.9904, 0.9689, 0.9770, 0.9079),
        (0.9739, 0.9816, 0.9838, 0.9781),
    ),
    *_trucks(
        "edgetam:yonigozlan/EdgeTAM-hf",
        _EDGETAM_TEST,
        (0.9773, 0.9415, 0.9683, 0.8792),
        (0.9721, 0.9852, 0.9812, 0.9760),
    ),
    _sam3_concept(),
    *_trucks(
        _SAM3,
        _TRACKER_TEST,
        (0.9862, 0.9666, 0.9588, 0.9331),
        (0.9757, 0.9838, 0.9785, 0.9755),
    ),
)
"""Every example; some checkpoints have none that is precise enough."""
