"""Folders of pictures, and of what is told about them, for tests that decode none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grounded_ram.data_engine.reading.rows import BadRows
from grounded_ram.data_engine.reading.sources import open_examples


def put(folder: Path, *names: str, **texts: str | bytes) -> Path:
    """Make empty files, then files with contents, "__" in whose names stands for a dot."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, text in texts.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def told(source: Any, folder: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what a source tells, by picture in its order, and its bad rows.

    A picture has its tags and the texts of its captions.
    """
    bad = BadRows()
    found = list(open_examples(source, bad, **options))
    names = [Path(one.image).relative_to(folder).as_posix() for one in found]
    assert len(set(names)) == len(names)
    assert bad.count == len(bad.first)
    parts = [(one.tags, tuple(caption.text for caption in one.captions)) for one in found]
    return dict(zip(names, parts, strict=True)), [str(row) for row in bad.first]
