"""What the page does when something is touched, without a word of how it looks."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grounded_ram.app.page.downloads import DOWNLOADS, copy_into, safe_name
from grounded_ram.app.page.examples import draw_examples
from grounded_ram.app.page.session import Session, Settings, own_folder, remove
from grounded_ram.disk import is_full
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.pipeline import GroundedRAM

LOG = logging.getLogger(__name__)

ADVICE = (
    "Open it in a program that can show it and save it anew as JPEG or PNG, or drop another one."
)

MOST_SESSIONS = 32
"""Pictures that are kept at a time, each with its pixels: the one unused for longest goes first."""


@dataclass(frozen=True)
class Reply:
    """What is there to be seen after an event.

    Args:
        session: the user's picture; None where there is none.
        title: what went wrong, in a few words; empty if nothing did.
        text: what exactly, and what to do.
    """

    session: Session | None
    title: str = ""
    text: str = ""


GONE = Reply(None, "This picture is gone", "It was kept for a while; drop it again.")


class Desk:
    """The model, and everything that users do with it.

    Args:
        model: labels the pictures; its networks run for one user at a time.
        folder: of all sessions; drawn scenes lie in it too.

    Attributes:
        gate: held while a network of the model runs.
    """

    def __init__(self, model: GroundedRAM, folder: Path) -> None:
        self.preset = model.preset
        self.gate = threading.Lock()
        self.examples = draw_examples(folder / "scenes")
        self._model = model
        self._sessions = folder / "sessions"
        self._kept: OrderedDict[Session, None] = OrderedDict()  # the one unused for longest first
        self._keeping = threading.Lock()

    def upload(
        self, now: Session | None, payload: Mapping[str, Any] | None, settings: Settings
    ) -> Reply:
        """Look at a picture that was dropped, pasted or taken.

        Args:
            now: the user's picture so far, which goes once the new one is there.
            payload: where gradio has put the file, and what it was called; None for no file.
            settings: the thresholds in effect.
        """
        if not payload or not payload.get("path"):
            return Reply(now)
        path = Path(str(payload["path"]))
        return self._explore(now, path, str(payload.get("orig_name") or path.name), settings)

    def pick(self, now: Session | None, place: int, settings: Settings) -> Reply:
        """Look at one of the examples."""
        if not 0 <= place < len(self.examples):
            return Reply(now)
        example = self.examples[place].path
        return self._explore(now, example, example.name, settings)

    def toggle(self, now: Session | None, name: str, *, on: bool) -> Reply:
        """Switch a tag on or off."""
        return self._change(now, lambda session: session.toggle(name, on=on))

    def add(self, now: Session | None, words: str) -> Reply:
        """Look for words of the user's own."""
        return self._change(now, lambda session: session.add(words))

    def change(self, now: Session | None, settings: Settings) -> Reply:
        """Change thresholds and rules."""
        return self._change(now, lambda session: session.change(settings))

    def clear(self, now: Session | None) -> Reply:
        """Make room for another picture."""
        if now is not None:
            self._let_go(now)
        return Reply(None)

    def write(self, now: Session | None, name: str) -> tuple[Reply, Path | None]:
        """Write a download, and say where it is."""
        written: list[Path] = []
        reply = self._change(
            now, lambda session: written.append(DOWNLOADS[name](session.annotation, session.folder))
        )
        return reply, written[0] if written else None

    def _explore(self, now: Session | None, path: Path, name: str, settings: Settings) -> Reply:
        folder: Path | None = None
        session: Session | None = None
        try:
            folder = own_folder(self._sessions)
            picture = copy_into(path, folder, name)
            with self.gate:
                seen = self._model.explore(picture)
            # Outside the gate: a session takes it by itself where a rule runs a network.
            session = Session(seen, folder, safe_name(name), settings=settings, gate=self.gate)
        except Exception as error:  # the page must tell it, whatever it is
            text = _told(error)
            if folder is not None:
                text = text.replace(str(folder / safe_name(name)), name)
            return Reply(now, title="This picture cannot be used", text=text + _advice(error))
        finally:
            if session is None and folder is not None:
                remove(folder)
        if now is not None:
            self._let_go(now)
        self._keep(session)
        return Reply(session)

    def _change(self, now: Session | None, work: Callable[[Session], Any]) -> Reply:
        if now is None or not self._is_kept(now):
            return GONE
        try:
            work(now)
        except Exception as error:  # the page must tell it, whatever it is
            return Reply(now, title="This did not work", text=_told(error))
        return Reply(now)

    def _keep(self, session: Session) -> None:
        """Keep a session, and let go of those that are too many."""
        with self._keeping:
            self._kept[session] = None
            too_many = [*self._kept][:-MOST_SESSIONS]
        for one in too_many:
            self._let_go(one)

    def _is_kept(self, session: Session) -> bool:
        """Tell whether a session is kept, and note that it is in use."""
        with self._keeping:
            if session not in self._kept:
                return False
            self._kept.move_to_end(session)
            return True

    def _let_go(self, session: Session) -> None:
        with self._keeping:
            self._kept.pop(session, None)
        session.close()


def _advice(error: Exception) -> str:
    """Say what to do with a file that cannot be read; of one too large, the error itself does."""
    is_of_file = isinstance(error, InputError) and "make it smaller" not in str(error)
    return f" {ADVICE}" if is_of_file else ""


def _told(error: Exception) -> str:
    """Say what went wrong in words for the user; what nobody foresaw goes to the log, too."""
    if isinstance(error, OSError) and is_full(error):
        return "The disk is full. Make room and try again."
    if isinstance(error, GroundedRAMError):
        text = str(error)
        return f"{text[:1].upper()}{text[1:]}."
    LOG.error("the page could not do what it was asked", exc_info=error)
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return "There is too little memory for this. Try a smaller picture."
    return f"{type(error).__name__}: {error}. The log of `grounded-ram ui` has the details."
