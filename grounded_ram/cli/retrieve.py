"""``grounded-ram retrieve``: the pictures that a text fits, or the texts that a picture fits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.inputs import DoneT, Failure, attempt, collect
from grounded_ram.cli.options import AsJson, Device, Precision
from grounded_ram.errors import InputError, WeightsError

if TYPE_CHECKING:
    from grounded_ram.tagging.ranking import Hits
    from grounded_ram.tagging.retrieval import ImageEmbeddings, Retriever

_AT_ONCE = 32
"""Pictures whose pixels are held at a time."""


def retrieve(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="Folder `model` of a training with alignment: grounded-ram train --start "
            "tag2text:swin-b --alignment.",
        ),
    ],
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURES...]",
            help="To be searched: files, http(s) URLs, folders or patterns.",
            show_default=False,
        ),
    ] = None,
    *,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar='"A RED CAR"',
            help="What the pictures shall show. May come several times.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Or, the other way: rank the texts of --texts by how well they fit this picture. "
            "May come several times.",
            show_default=False,
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts for --image, one a line.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="So many are shown, the best first.")] = 10,
    rerank: Annotated[
        int,
        typer.Option(
            min=0,
            help="So many are chosen by comparing directions, and ranked by looking at picture and "
            "text together, which is slower and better; 0 leaves it at the directions.",
        ),
    ] = 128,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep what was seen of the pictures, so that the next question is answered fast.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures or texts at a time.")] = 8,
    device: Device = "auto",
    dtype: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Find pictures by text, or texts by picture, with a Tag2Text that was trained to.

    Scores are log-odds that both fit: above 0 more likely than not. With --rerank 0 they are
    similarities, which only rank. Exit code 0: all done; 1: some pictures could not be read, or the
    model cannot compare; 2: wrong usage.
    """
    _check(pictures, text, image, texts=texts, index=index)
    search = _Search(model, (device, dtype, batch_size), top=top, rerank=rerank)
    with terminal.clean_stdout():
        if text:
            rows = search.pictures_for(text, pictures or [], index)
        else:
            rows = search.texts_for(image or [], _lines(texts))
    if as_json:
        terminal.show_json({"queries": rows, "failed": [asdict(one) for one in search.failures]})
    else:
        _show(rows)
    for failure in search.failures:
        terminal.say(f"{failure.input}: {failure.error}")
    if search.failures:
        raise typer.Exit(1)


def _check(
    pictures: list[str] | None,
    text: list[str] | None,
    image: list[str] | None,
    *,
    texts: Path | None,
    index: Path | None,
) -> None:
    """Make sure that one kind of question is asked.

    Raises:
        InputError: none is, or both are, or what belongs to one is given with the other.
    """
    if bool(text) == bool(image):
        raise InputError(
            'ask one way: PICTURES... --text "a red car", or --image FILE --texts FILE'
        )
    if text and (not pictures or texts):
        raise InputError("--text is looked for in PICTURES...: name some, and no --texts")
    if image and (pictures or not texts or index):
        raise InputError(
            "--image chooses among the lines of --texts FILE: name that, no PICTURES and no --index"
        )
    if any(not one.strip() for one in text or ()):
        raise InputError('--text must say something, as in --text "a red car"')


def _lines(path: Path | None) -> list[str]:
    """Return the texts of a file, each once."""
    assert path is not None
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--texts: {str(path)!r} is no UTF-8 file of texts: {error}") from error
    found = list(dict.fromkeys(filter(None, map(str.strip, lines))))
    if not found:
        raise InputError(f"--texts: there is no text in {str(path)!r}; write one a line")
    return found


@dataclass
class _Search:
    """Questions to one model.

    Args:
        model: its folder.
        speed: device, number type and batch size.
        top: answers that are shown of each question.
        rerank: candidates that are matched.
        failures: what could not be read; grows.
    """

    model: Path
    speed: tuple[str, str, int]
    top: int
    rerank: int
    failures: list[Failure] = field(default_factory=list)

    def pictures_for(
        self, texts: Sequence[str], given: Sequence[str], index: Path | None
    ) -> list[dict[str, Any]]:
        """Return which pictures fit each text."""
        inputs = collect(given, leave_out=self.model)
        self.failures += inputs.failures
        retriever, digest = _load(self.model, *self.speed)
        names, images = self._look(list(inputs.names), retriever, (index, digest))
        found = retriever.images_for(retriever.embed_texts(texts), images, **self._how())
        return self._rows(("text", texts), ("picture", names), found)

    def texts_for(self, given: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return which texts fit each picture."""
        retriever, digest = _load(self.model, *self.speed)
        names, images = self._look(list(dict.fromkeys(given)), retriever, (None, digest))
        found = retriever.texts_for(images, retriever.embed_texts(texts), **self._how())
        return self._rows(("picture", names), ("text", texts), found)

    def _how(self) -> dict[str, Any]:
        return {"k": max(self.top, self.rerank), "match": self.rerank > 0}

    def _look(
        self, sources: Sequence[str], retriever: Retriever, kept: tuple[Path | None, str]
    ) -> tuple[list[str], ImageEmbeddings]:
        """Return the pictures that can be read, and what they look like.

        Args:
            sources: paths and addresses, each once.
            retriever: looks at those that are not in the index.
            kept: the index, and the model's digest.
        """
        from grounded_ram.tagging.retrieval_index import Seen, key_of, read_seen, write_seen

        index, digest = kept
        none = retriever.embed_images([])
        seen, is_other = (
            (Seen((), none), False) if index is None else read_seen(index, digest, none)
        )
        if is_other:
            terminal.say(f"note: {index} is of another model, and is made anew")
        keys = {name: self._attempt(key_of, name) for name in sources}
        known = frozenset(seen.keys)
        fresh = [name for name, key in keys.items() if key is not None and key not in known]
        read, parts = self._embed(fresh, retriever)
        if read:
            seen = seen.with_more([key for name in read if (key := keys[name])], parts)
            if index is not None:
                write_seen(seen, digest, index)
                terminal.say(f"{index}: {len(seen.keys):,} pictures")
        lost = set(fresh) - set(read)
        found = {name: key for name, key in keys.items() if key is not None and name not in lost}
        return list(found), seen.of(list(found.values()))

    def _embed(
        self, names: Sequence[str], retriever: Retriever
    ) -> tuple[list[str], list[ImageEmbeddings]]:
        """Return those pictures that can be read, and what they look like, some at a time."""
        from grounded_ram.images import load_image

        read: list[str] = []
        parts: list[ImageEmbeddings] = []
        places = terminal.progress(
            range(0, len(names), _AT_ONCE), math.ceil(len(names) / _AT_ONCE), "looking at pictures"
        )
        for start in places:
            some = names[start : start + _AT_ONCE]
            loaded = {name: self._attempt(load_image, name) for name in some}
            images = {name: one.pixels for name, one in loaded.items() if one is not None}
            read += images
            parts.append(retriever.embed_images(list(images.values())))
        return read, parts

    def _attempt(self, work: Callable[[str], DoneT], name: str) -> DoneT | None:
        """Do something with a picture; if it cannot be read, say so in the end."""
        try:
            return attempt(work, name, self.failures)
        except OSError as error:
            self.failures.append(Failure(name, str(error)))
            return None

    def _rows(
        self,
        asked: tuple[str, Sequence[str]],
        candidates: tuple[str, Sequence[str]],
        hits: Hits,
    ) -> list[dict[str, Any]]:
        """Return the answers to each question, the best first."""
        (kind, questions), (what, names) = asked, candidates
        return [
            {
                kind: question,
                "found": [
                    {what: names[number], "score": score}
                    for number, score in zip(numbers[: self.top], scores, strict=False)
                ],
            }
            for question, numbers, scores in zip(
                questions, hits.numbers.tolist(), hits.scores.tolist(), strict=True
            )
        ]


def _load(model: Path, device: str, dtype: str, batch_size: int) -> tuple[Retriever, str]:
    """Load a model, and return what it is known by.

    Raises:
        InputError: the folder is of no training.
        WeightsError: the model was trained without alignment.
    """
    from grounded_ram.runtime import pick_device, pick_dtype
    from grounded_ram.tagging.retrieval import load_retriever
    from grounded_ram.tagging.retrieval_index import digest_of
    from grounded_ram.weights import fetch, find_checkpoint, with_own_files

    row = with_own_files(find_checkpoint("tag2text:swin-b"), {"weights": model})
    files = fetch(row)
    try:
        settings: dict[str, Any] = json.loads(files["config"].read_text("utf-8"))
    except ValueError as error:
        raise WeightsError(f"{files['config']} is damaged: {error}") from error
    if settings.get("adapter") != "tag2text" or "alignment" not in settings:
        raise WeightsError(
            f"{str(model)!r} ({settings.get('adapter')}) was trained without alignment, and cannot "
            "compare pictures with texts; train one that can: grounded-ram train DATA --start "
            "tag2text:swin-b --alignment"
        )
    here = pick_device(device)
    kind = pick_dtype(dtype, here)
    retriever = load_retriever(row, device=here, dtype=kind)
    retriever.batch_size = batch_size
    return retriever, digest_of(files, kind)


def _show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table for each question."""
    for row in rows:
        found = row["found"]
        kind = next(iter(row))
        what = "text" if kind == "picture" else "picture"
        terminal.show(f"{kind}: {row[kind]}")
        terminal.show_table(
            ("rank", "score", what),
            ((str(n), f"{one['score']:.2f}", one[what]) for n, one in enumerate(found, 1)),
        )
