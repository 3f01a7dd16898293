"""Lists of tags that others made: those that RAM and Tag2Text ask for, and files of one's own."""

from __future__ import annotations

from pathlib import Path

from grounded_ram.data_engine.reading.rows import NO_UTF8, first_line_no_utf8
from grounded_ram.downloads import OnProgress, download, find_whole
from grounded_ram.errors import InputError
from grounded_ram.weights import find_checkpoint

PUBLISHED = {"ram": "ram:swin-l", "tag2text": "tag2text:swin-b"}
"""Published lists, and the checkpoint whose list each is."""


def read_tag_list(path: Path) -> tuple[str, ...]:
    """Read a list of tags, one a line; each comes once, and blank lines are left out.

    Raises:
        InputError: it cannot be read, or has none.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = first_line_no_utf8(path)
        raise InputError(f"{path}, line {line}: {NO_UTF8}: a list of tags, one a line") from error
    except (OSError, ValueError) as error:
        raise InputError(f"expected a list of tags, one a line: {path}: {error}") from error
    tags = tuple(dict.fromkeys(filter(None, (" ".join(line.split()) for line in lines))))
    if not tags:
        raise InputError(f"expected a list of tags, one a line, but {str(path)!r} has none")
    return tags


def tag_list(name: str, *, on_progress: OnProgress | None = None) -> tuple[str, ...]:
    """Return a published list by its name, downloaded if need be, or that of a file.

    Args:
        name: one of ``PUBLISHED``, or the path of a file.
        on_progress: as for ``downloads.download``.

    Raises:
        InputError: it is neither.
        WeightsError: the list cannot be had.
    """
    if name in PUBLISHED:
        file = find_checkpoint(PUBLISHED[name]).files["tags"]
        return read_tag_list(find_whole(file) or download(file, on_progress=on_progress))
    if not Path(name).is_file():
        raise InputError(
            f"expected {' or '.join(PUBLISHED)}, or a file with a tag a line; there is no file "
            f"{name!r}"
        )
    return read_tag_list(Path(name))
