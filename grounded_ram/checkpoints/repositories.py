"""Rows of repositories on the Hugging Face hub, in the layout of transformers.

Their names are "adapter:owner/repo". Those in the table are pinned to a commit; digests stand
beside it where somebody published them. Of any other repository a row can be made by its name.
"""

from __future__ import annotations

from dataclasses import replace

from grounded_ram.checkpoints.authors import BERT_VOCABULARY
from grounded_ram.checkpoints.checkpoint import Checkpoint
from grounded_ram.downloads import WeightFile
from grounded_ram.errors import InputError
from grounded_ram.names import split_backend

LICENCES = {
    "facebook/sam3": (
        "SAM License",
        "its licence forbids military and nuclear uses, espionage, guns and illegal weapons, and "
        "reverse engineering; whoever passes it on passes the licence on. The hub gives it to "
        "those who accept that on its page",
    )
}
"""Of repositories whose licence forbids uses: what it is called, and its terms."""


def hub_checkpoint(name: str) -> Checkpoint:
    """Make the row of any repository on the hub that has a config.json and a model.safetensors.

    Nobody here knows their digests: what the hub itself checks is all that is checked. A run's
    record has the commit that they are of and their SHA-256.

    Args:
        name: "adapter:owner/repo", or "adapter:owner/repo@revision" with a commit, tag or branch.

    Raises:
        InputError: the name is not of that form.
    """
    _, place = split_backend(name)
    repo, at, revision = place.partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")) or "/" in revision or (at and not revision):
        raise InputError(f"expected 'adapter:owner/repo' or '...@revision', got {name!r}")

    def file(path: str, *, optional: bool = True) -> WeightFile:
        return _file(repo, revision or "main", path, optional=optional)

    licence, terms = LICENCES.get(repo, ("unknown: see its page on the hub", ""))
    return Checkpoint(
        name=name,
        summary=f"{repo}, from the hub",
        licence=licence,
        terms=terms,
        files={
            "weights": file("model.safetensors", optional=False),
            "config": file("config.json", optional=False),
            "preprocessor": file("preprocessor_config.json"),
            "tokenizer": file("tokenizer.json"),
            "vocab": file("vocab.txt"),
        },
    )


def at_revision(pinned: Checkpoint, name: str) -> Checkpoint:
    """Return a row of the table at another revision, of which no digest is known.

    Args:
        pinned: the row.
        name: its name with "@revision" behind it.
    """
    repo, revision = pinned.name.partition(":")[2], name.partition("@")[2]
    files = {
        role: _file(repo, revision, file.source.split("/")[-1], optional=file.optional)
        if f"/{repo}@" in file.source
        else file
        for role, file in pinned.files.items()
    }
    return replace(pinned, name=name, files=files)


def _file(
    repo: str,
    revision: str,
    path: str,
    *,
    optional: bool = False,
    sha256: str | None = None,
    size: int | None = None,
) -> WeightFile:
    return WeightFile(
        name=f"{repo.replace('/', '--')}--{path}",
        source=f"hf://{repo}@{revision}/{path}",
        optional=optional,
        sha256=sha256,
        size=size,
    )


def _pinned(
    adapter: str,
    place: str,
    summary: str,
    *,
    weights: tuple[str | None, int | None] = (None, None),
    config: str | None = None,
    **others: WeightFile,
) -> Checkpoint:
    """Make a row of the table.

    Args:
        adapter: whose checkpoint it is.
        place: "owner/repo@commit".
        summary: what it is.
        weights: SHA-256 and bytes of the weights, where known.
        config: SHA-256 of the config, where known.
        others: files that do not lie in the repository, or under another name than usual.
    """
    repo, _, commit = place.partition("@")
    licence, terms = LICENCES.get(repo, ("Apache-2.0", ""))
    sha256, size = weights
    return Checkpoint(
        name=f"{adapter}:{repo}",
        summary=summary,
        licence=licence,
        terms=terms,
        files={
            "weights": _file(repo, commit, "model.safetensors", sha256=sha256, size=size),
            "config": _file(repo, commit, "config.json", sha256=config),
            "preprocessor": _file(repo, commit, "preprocessor_config.json", optional=True),
            **others,
        },
    )


_SAM3 = "facebook/sam3", "3c879f39826c281e95690f02c7821c4de09afae7"

ROWS = (
    _pinned(
        "transformers",
        "IDEA-Research/grounding-dino-tiny@a2bb814dd30d776dcf7e30523b00659f4f141c71",
        "Grounding-DINO, Swin-T",
        weights=("1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3", 689_359_096),
        vocab=BERT_VOCABULARY,
    ),
    _pinned(
        "transformers",
        "IDEA-Research/grounding-dino-base@12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        "Grounding-DINO, Swin-B",
        weights=("5548f844c928c4b6f411fa8cbcc2bfa8dbbba437cb1d513975519f93c2a9ed21", 933_400_872),
        vocab=BERT_VOCABULARY,
    ),
    _pinned(
        "transformers",
        "iSEE-Laboratory/llmdet_tiny@d05199165a19320a9236396e20fca0a5e065189c",
        "LLMDet, Swin-T: Grounding-DINO taught by a language model's captions",
        weights=("f0e476be3d65c7c50e13029b0adc4bb5d4e05f3eb6d7bb04856578095e6ad92f", None),
        vocab=BERT_VOCABULARY,
    ),
    _pinned(
        "transformers",
        "iSEE-Laboratory/llmdet_large@bec37f296f05b22f6c6b39bc05a6c611239f4e31",
        "LLMDet, Swin-L: Grounding-DINO taught by a language model's captions",
        vocab=BERT_VOCABULARY,
    ),
    _pinned(
        "transformers",
        "google/owlv2-base-patch16-ensemble@57beb61adb5abda3de4a9796bc35ae60bc4b9802",
        "OWLv2, ViT-B/16 at 960 pixels",
        weights=("e1e130b9e404cf91a75ad45644c1da9d7fa5284085eecc864266a6923efb99e7", 619_918_824),
    ),
    _pinned(
        "transformers",
        "google/owlv2-large-patch14-ensemble@95e26936e865f87db1742128404b3c035d47d89d",
        "OWLv2, ViT-L/14 at 1008 pixels",
        weights=("d1c2261503c55aaf400667a843a54a5167e3c696334674c4093d6d10f7f40075", 1_750_520_144),
    ),
    _pinned(
        "sam-hq",
        "syscv-community/sam-hq-vit-huge@9d9d53502fbf666297e7eb3804f64137f930055e",
        "SAM-HQ, ViT-H: SAM with corrected edges",
    ),
    _pinned(
        "sam2",
        "facebook/sam2.1-hiera-tiny@de431c4043854a71d8101e17995dfe596bf101a5",
        "SAM 2.1, Hiera-T",
        weights=("48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7", 155_908_064),
        config="860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce",
    ),
    _pinned(
        "sam2",
        "facebook/sam2.1-hiera-small@ee5bba1d82bb8749febdf90f45e84b687142ba03",
        "SAM 2.1, Hiera-S",
        weights=("0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60", 184_305_280),
        config="97ff9f65b76d107acda4247885f0a5555d0048850ae3c5f97183df289aaecde9",
    ),
    _pinned(
        "sam2",
        "facebook/sam2.1-hiera-base-plus@b7320756a13354e7530a63935656d35b2f91a290",
        "SAM 2.1, Hiera-B+",
        weights=("2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780", 323_476_296),
        config="8e24a93b6a40d4dad86eaec383ce7b4044f37ec6360136460f5ff2ce55f87390",
    ),
    _pinned(
        "sam2",
        "facebook/sam2.1-hiera-large@665f8e2ad61cf5f53d65644ff27c8ee525124610",
        "SAM 2.1, Hiera-L",
        weights=("dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230", 897_897_416),
        config="00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3",
    ),
    _pinned(
        "sam3",
        "@".join(_SAM3),
        "SAM 3: finds and cuts what words name, or what lies in boxes",
        weights=("6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a", 3_439_938_512),
        preprocessor=_file(*_SAM3, "processor_config.json"),
        tokenizer=_file(*_SAM3, "tokenizer.json"),
    ),
)
"""Ours, each pinned."""
