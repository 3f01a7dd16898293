"""What the user named, taken apart into pictures: files, URLs, folders, patterns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from grounded_ram.autolabel.items import ENDINGS, is_url, is_utf8
from grounded_ram.errors import GroundedRAMError, InputError

DoneT = TypeVar("DoneT")


@dataclass(frozen=True)
class Failure:
    """One input that gave nothing.

    Args:
        input: as the user named it, or the file it stands for.
        error: what was wrong, in one line or more.
    """

    input: str
    error: str


@dataclass(frozen=True)
class Inputs:
    """The pictures to annotate.

    Args:
        names: by file or URL, the name in what is written: each once, slashes between folders.
        root: folder that the names are relative to; None where there are only URLs.
        failures: what was named and is no picture.
    """

    names: dict[str, str]
    root: Path | None
    failures: tuple[Failure, ...]


def collect(given: Sequence[str], *, leave_out: Path) -> Inputs:
    """Find the pictures that files, URLs, folders and patterns stand for, each once.

    Args:
        given: what the user typed.
        leave_out: a folder in which no pictures are looked for: the one that results go into.
    """
    sources: dict[str, None] = {}
    failures = []
    for text in given:
        try:
            sources.update(dict.fromkeys(_pictures(text, leave_out.resolve())))
        except InputError as error:
            failures.append(Failure(text, str(error)))
    root = _common_folder([source for source in sources if not is_url(source)])
    names: dict[str, str] = {}
    taken: set[str] = set()
    for source in sources:
        name = _name(source, root)
        if name in taken:
            error_text = f"another input is called {name!r} as well; annotate them in two runs"
            failures.append(Failure(source, error_text))
        else:
            taken.add(name)
            names[source] = name
    return Inputs(names, root, tuple(failures))


def attempt(work: Callable[[str], DoneT], source: str, failures: list[Failure]) -> DoneT | None:
    """Do something with one input; where that fails, set it aside, so that the next can be done.

    What would spoil the next one as well is raised: absent weights, a full disk.

    Returns:
        What came of it; None if it failed.
    """
    try:
        return work(source)
    except InputError as error:
        failures.append(Failure(source, str(error)))
    except (GroundedRAMError, OSError):
        raise
    except Exception as error:  # too large for the memory, say
        failures.append(Failure(source, f"{type(error).__name__}: {error}"))
    return None


def _pictures(text: str, leave_out: Path) -> Iterator[str]:
    if is_url(text):
        yield text
        return
    if not is_utf8(text):
        raise InputError(f"the file name {text!a} is no valid text; rename the file")
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path, leave_out)
    elif path.exists():
        yield _straight(path)
    elif has_magic(text):
        yield from _matching(text, leave_out)
    else:
        raise InputError(f"there is no file or folder {text!r}")


def _matching(pattern: str, leave_out: Path) -> Iterator[str]:
    # Path.glob takes no absolute pattern.
    found = sorted(filter(is_utf8, glob(pattern, recursive=True)))  # noqa: PTH207
    if not found:
        raise InputError(f"no file matches the pattern {pattern!r}")
    for name in found:
        if Path(name).is_dir():
            yield from _in_folder(Path(name), leave_out)
        else:
            yield _straight(Path(name))


def _in_folder(folder: Path, leave_out: Path) -> Iterator[str]:
    """List the pictures in a folder and below it, sorted; hidden ones and results are left out."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.casefold() in ENDINGS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and leave_out not in path.resolve().parents
        and is_utf8(str(path))
    ]
    if not found:
        kinds = " ".join(sorted(ENDINGS))
        raise InputError(f"no pictures in the folder {str(folder)!r} or below; looked for {kinds}")
    yield from (_straight(path) for path in found)


def _straight(path: Path) -> str:
    """Spell a path without "..", so that one folder above all paths can be found."""
    return str(path.resolve() if ".." in path.parts else path)


def _common_folder(paths: Sequence[str]) -> Path | None:
    """Return the deepest folder that holds all files."""
    folders = [str(Path(path).absolute().parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders)) if folders else None
    except ValueError as error:  # as on drives C: and D:
        raise InputError("the pictures lie on several drives; annotate each in its run") from error


def _name(source: str, root: Path | None) -> str:
    if is_url(source) or root is None:
        return Path(unquote(urlsplit(source).path)).name or source
    return Path(source).absolute().relative_to(root).as_posix()
