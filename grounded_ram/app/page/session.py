"""One user's picture: what the networks said of it, and what the user switched on and off since."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from grounded_ram.annotation import Annotation, Reason
from grounded_ram.app.page.stage import picture_uri
from grounded_ram.errors import InputError
from grounded_ram.exploration import Exploration
from grounded_ram.presets import Preset
from grounded_ram.rules import Rules

MOST_WORDS = 40
"""Words of the user's own on one picture."""

LONGEST_WORD = 80
"""In characters."""

SEPARATORS = re.compile(r"[,;\n]|\.(?=\s|$)")
"""What stands between two words: detectors end a name at a full stop, too."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The thresholds and rules as the sliders have them.

    Args:
        tag_threshold: None means each tag's own.
        box_threshold: of boxes.
        rules: all others.
    """

    tag_threshold: float | None
    box_threshold: float
    rules: Rules

    @classmethod
    def of(cls, preset: Preset) -> Settings:
        """Return those that a preset begins with."""
        return cls(
            tag_threshold=preset.tag_threshold,
            box_threshold=preset.box_threshold,
            rules=preset.rules,
        )


class Session:
    """What one user sees. Nothing of it is shared with others but the gate.

    Args:
        exploration: what the networks said.
        folder: the user's own, removed by ``close``.
        name: the picture's file name.
        settings: the thresholds to begin with.
        gate: held while a network runs: one user at a time.

    Attributes:
        annotation: the labels as they stand.
        picture: the picture as the page shows it, a data URI.
        below: names without a box above the threshold that have one below it.
        words: the user's own, in the order in which they came.
    """

    def __init__(
        self,
        exploration: Exploration,
        folder: Path,
        name: str,
        *,
        settings: Settings,
        gate: threading.Lock,
    ) -> None:
        self.exploration = exploration
        self.folder = folder
        self.name = name
        self.words: list[str] = []
        self._on: set[str] = set()
        self._off: set[str] = set()
        self._tried: set[str] = set()
        self._settings = settings
        self._gate = gate
        self._own = threading.Lock()  # an exploration is for one thread at a time
        self.picture = picture_uri(exploration.image.pixels)
        self.annotation: Annotation
        self.below: frozenset[str] = frozenset()
        self._decide(runs_networks=False)

    @property
    def on(self) -> frozenset[str]:
        """The names that are switched on."""
        return (self._fired() | self._on) - self._off

    def toggle(self, name: str, *, on: bool) -> None:
        """Switch a tag, or a word of the user's own, on or off.

        Raises:
            InputError: the picture has no such tag.
        """
        with self._own:
            if name not in self.exploration.tags.names and name not in self.words:
                raise InputError(f"there is no tag {name!r} on this picture; add it as a word")
            before = set(self._on), set(self._off)
            self._switch(name, on=on)
            try:
                self._decide(runs_networks=on)
            except Exception:
                self._on, self._off = before
                raise

    def add(self, text: str) -> None:
        """Look for words of the user's own, with commas or full stops between them.

        Raises:
            InputError: there is none, one is too long, or there are too many.
        """
        with self._own:
            before = list(self.words), set(self._on), set(self._off)
            names = {name.casefold(): name for name in self.exploration.tags.names}
            for word in _words(text):
                name = names.get(word.casefold(), word)
                if name == word and word not in self.words and word not in names:
                    self.words.append(word)
                self._switch(name, on=True)
            try:
                if len(self.words) > MOST_WORDS:
                    raise InputError(
                        f"expected at most {MOST_WORDS} words of your own on one picture, got "
                        f"{len(self.words)}; use the command `annotate --tags` for more"
                    )
                self._decide(runs_networks=True)
            except Exception:
                self.words, self._on, self._off = before
                raise

    def change(self, settings: Settings) -> None:
        """Change thresholds and rules."""
        with self._own:
            lower = settings.tag_threshold != self._settings.tag_threshold
            before, self._settings = self._settings, settings
            try:
                self._decide(runs_networks=lower)
            except Exception:
                self._settings = before
                raise

    def close(self) -> None:
        """Remove what lies on the disk."""
        remove(self.folder)

    def _switch(self, name: str, *, on: bool) -> None:
        self._off.discard(name) if on else self._off.add(name)
        self._on.add(name) if on else self._on.discard(name)

    def _fired(self) -> frozenset[str]:
        """Return what fires at the tag threshold in effect."""
        return self.exploration.fired(self._settings.tag_threshold)

    def _decide(self, *, runs_networks: bool) -> None:
        """Decide the labels; wait for other users only where a network will run."""
        settings = self._settings
        new = runs_networks and not self.on <= self._tried
        with self._gate if new or settings.rules.crop_check != "off" else nullcontext():
            done = self._decided(settings)
        self._tried |= self.on
        self.below = self._below(done)
        self.annotation = replace(done, image=replace(done.image, file_name=self.name))

    def _decided(self, settings: Settings) -> Annotation:
        return self.exploration.decide(
            without=self._off,
            also=self._on - self._fired(),
            tag_threshold=settings.tag_threshold,
            box_threshold=max(settings.box_threshold, self.exploration.box_floor),
            rules=settings.rules,
        )

    def _below(self, done: Annotation) -> frozenset[str]:
        """Return the names whose boxes all score below the threshold; runs no network."""
        without = _without_box(done)
        if not without or self._settings.box_threshold <= self.exploration.box_floor:
            return frozenset()
        rules = replace(self._settings.rules, crop_check="off")
        lowest = replace(self._settings, box_threshold=self.exploration.box_floor, rules=rules)
        return without - _without_box(self._decided(lowest))


def _without_box(annotation: Annotation) -> frozenset[str]:
    reasons = annotation.ungrounded.items()
    return frozenset(name for name, why in reasons if why in (Reason.NO_BOX, Reason.UNSEEN))


def remove(folder: Path) -> None:
    """Remove the folder of a session; what cannot be removed goes with the page in the end."""
    shutil.rmtree(folder, ignore_errors=True)


def own_folder(root: Path) -> Path:
    """Make a folder for one session that nobody else can guess."""
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="session-", dir=root))


def _words(text: str) -> Sequence[str]:
    """Take apart what was typed, each word once.

    Raises:
        InputError: there is none, or one is too long or cannot be a name.
    """
    words = list(dict.fromkeys(filter(None, (" ".join(w.split()) for w in SEPARATORS.split(text)))))
    if not words:
        raise InputError("expected a word, as in: red car, tree")
    for word in words:
        if len(word) > LONGEST_WORD or "\0" in word:
            raise InputError(
                f"expected words of up to {LONGEST_WORD} characters, got one of {len(word)}; "
                "put commas between words"
            )
    return words
