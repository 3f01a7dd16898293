"""Rows of what we trained, and of what the authors of RAM, Grounding-DINO and SAM give."""

from __future__ import annotations

from grounded_ram.checkpoints.checkpoint import Checkpoint, packaged
from grounded_ram.downloads import WeightFile

BERT_VOCABULARY = WeightFile(
    name="bert-base-uncased-vocab.txt",
    source="hf://google-bert/bert-base-uncased@main/vocab.txt",
    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    size=231_508,
)

_RAM_DATA = (
    "https://raw.githubusercontent.com/xinyu1205/recognize-anything/"
    "7cb804a8609e9f4b1a50b7f31436d2df40bb9481/ram/data/"
)
_RAM_TAGS = WeightFile(
    name="ram_tag_list.txt",
    source=_RAM_DATA + "ram_tag_list.txt",
    sha256="5d96d2f7225527480ad773aaac76b6e5c08a18adf6eae9ca7d2ab923d5e7bd8b",
    size=41_904,
)
_RAM_THRESHOLDS = WeightFile(
    name="ram_tag_list_threshold.txt",
    source=_RAM_DATA + "ram_tag_list_threshold.txt",
    sha256="b6f81d0de1bc7f9c251af512c413eae976c77dbfbadf700d4e3d90510f4c6447",
    size=22_016,
)
_RAM_WEIGHTS = WeightFile(
    name="ram_swin_large_14m.pth",
    source="hf://xinyu1205/recognize_anything_model@main/ram_swin_large_14m.pth",
    mirrors=(
        "hf-space://xinyu1205/recognize-anything@main/ram_swin_large_14m.pth",
        "hf-space://xinyu1205/Recognize_Anything-Tag2Text@main/ram_swin_large_14m.pth",
    ),
    sha256="15c729c793af28b9d107c69f85836a1356d76ea830d4714699fb62e55fcc08ed",
    size=5_625_634_877,
)
_DINO_RELEASES = "https://github.com/IDEA-Research/GroundingDINO/releases/download/"
_SAM_FILES = "https://dl.fbaipublicfiles.com/segment_anything/"


def _tiny(name: str, summary: str, stem: str, **others: str) -> Checkpoint:
    names = {"weights": f"{stem}.safetensors", "config": f"{stem}.json", **others}
    files = {role: packaged(f"tiny/{file}") for role, file in names.items()}
    return Checkpoint(name=name, summary=summary, licence="Apache-2.0", files=files)


def _official(name: str, summary: str, config: str, **files: WeightFile) -> Checkpoint:
    return Checkpoint(
        name=name,
        summary=summary,
        licence="Apache-2.0",
        files={**files, "config": packaged(f"configs/{config}")},
    )


ROWS = (
    _tiny("ram:tiny", "RAM for picture-book scenes, trained by this package", "ram"),
    _tiny(
        "grounding-dino:tiny",
        "Grounding-DINO for picture-book scenes, trained by this package",
        "grounding_dino",
        vocab="vocab.txt",
    ),
    _tiny("sam:tiny", "SAM for picture-book scenes, trained by this package", "sam"),
    _official(
        "ram:swin-l",
        "RAM, Swin-L at 384 pixels, 4585 tags",
        "ram_swin_l.json",
        weights=_RAM_WEIGHTS,
        tags=_RAM_TAGS,
        thresholds=_RAM_THRESHOLDS,
    ),
    _official(
        "ram-captions:swin-l",
        "RAM as above, with the text networks of its file: tags, and captions",
        "ram_swin_l.json",
        weights=_RAM_WEIGHTS,
        vocab=BERT_VOCABULARY,
        tags=_RAM_TAGS,
        thresholds=_RAM_THRESHOLDS,
    ),
    _official(
        "ram-plus:swin-l",
        "RAM++, Swin-L at 384 pixels, 4585 tags of 51 descriptions each",
        "ram_plus_swin_l.json",
        weights=WeightFile(
            name="ram_plus_swin_large_14m.pth",
            source=(
                "hf://xinyu1205/recognize-anything-plus-model"
                "@6afd703f04b23e1c18d4c7d9882c4f5f954848f8/ram_plus_swin_large_14m.pth"
            ),
            sha256="497c178836ba66698ca226c7895317e6e800034be986452dbd2593298d50e87d",
            size=3_010_210_801,
        ),
        tags=_RAM_TAGS,
        thresholds=_RAM_THRESHOLDS,
    ),
    _official(
        "tag2text:swin-b",
        "Tag2Text, Swin-B at 384 pixels: 3429 tags, and captions",
        "tag2text_swin_b.json",
        vocab=BERT_VOCABULARY,
        weights=WeightFile(
            name="tag2text_swin_14m.pth",
            source="hf-space://xinyu1205/Recognize_Anything-Tag2Text@main/tag2text_swin_14m.pth",
            sha256="4ce96f0ce98f940a6680d567f66a38ccc9ca8c4e638e5f5c5c2e881a0e3502ac",
        ),
        tags=WeightFile(
            name="tag2text_tag_list.txt",
            source=_RAM_DATA + "tag_list.txt",
            sha256="7d05c7cb88ed46a2aee1434776964f6bdbda0c0f4233c8633e109084382d3a45",
            size=29_062,
        ),
    ),
    Checkpoint(
        name="ram-names:chinese",
        summary="Chinese names of the tags of RAM and RAM++",
        licence="Apache-2.0",
        files={
            "tags": _RAM_TAGS,
            "names_zh": WeightFile(
                name="ram_tag_list_chinese.txt",
                source=_RAM_DATA + "ram_tag_list_chinese.txt",
                sha256="c912657a0f30be7b2f5df6ccffa17e1d84561d0bea508528e38b6d0d711bcfbe",
                size=44_181,
            ),
        },
    ),
    Checkpoint(
        name="clip:vit-b-16-openai",
        summary="CLIP ViT-B/16, whose text encoder embeds words for RAM and RAM++",
        licence="MIT",
        files={
            "weights": WeightFile(
                name="clip_vit_b_16_openai.safetensors",
                source=(
                    "hf://timm/vit_base_patch16_clip_224.openai"
                    "@977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d/open_clip_model.safetensors"
                ),
                sha256="4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
                size=598_516_980,
            ),
        },
    ),
    _official(
        "grounding-dino:swin-t",
        "Grounding-DINO, Swin-T",
        "grounding_dino_swin_t.json",
        vocab=BERT_VOCABULARY,
        weights=WeightFile(
            name="groundingdino_swint_ogc.pth",
            source=_DINO_RELEASES + "v0.1.0-alpha/groundingdino_swint_ogc.pth",
            sha256="3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
            size=693_997_677,
        ),
    ),
    _official(
        "grounding-dino:swin-b",
        "Grounding-DINO, Swin-B",
        "grounding_dino_swin_b.json",
        vocab=BERT_VOCABULARY,
        weights=WeightFile(
            name="groundingdino_swinb_cogcoor.pth",
            source=_DINO_RELEASES + "v0.1.0-alpha2/groundingdino_swinb_cogcoor.pth",
            sha256="46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
            size=938_057_991,
        ),
    ),
    _official(
        "sam:vit-b",
        "SAM, ViT-B",
        "sam_vit_b.json",
        weights=WeightFile(
            name="sam_vit_b_01ec64.pth",
            source=_SAM_FILES + "sam_vit_b_01ec64.pth",
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            size=375_042_383,
        ),
    ),
    _official(
        "sam:vit-l",
        "SAM, ViT-L",
        "sam_vit_l.json",
        weights=WeightFile(
            name="sam_vit_l_0b3195.pth",
            source=_SAM_FILES + "sam_vit_l_0b3195.pth",
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            size=1_249_524_607,
        ),
    ),
    _official(
        "sam:vit-h",
        "SAM, ViT-H",
        "sam_vit_h.json",
        weights=WeightFile(
            name="sam_vit_h_4b8939.pth",
            source=_SAM_FILES + "sam_vit_h_4b8939.pth",
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            size=2_564_550_879,
        ),
    ),
)
