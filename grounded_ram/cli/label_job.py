"""One ``label`` command at work: what it has to do, how it is stopped, what it says in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.export import Target, show_stale, show_written
from grounded_ram.cli.watching import Tally, interruptible, watching
from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import GroundedRAMError, InputError

if TYPE_CHECKING:
    from grounded_ram.autolabel.engines import Engine
    from grounded_ram.autolabel.items import Item
    from grounded_ram.autolabel.labeller import Labeller
    from grounded_ram.autolabel.run_folder import Run, Share
    from grounded_ram.autolabel.sources import Sources
    from grounded_ram.autolabel.summary import Aside

INTERRUPTED = 130
"""Exit code."""

STOPPED = "stopped at once; what was labelled is kept. To go on, type the same command again"
"""What is said of a second Ctrl-C."""

MOST_CLASSES = 40
"""Labels that the table shows; summary.json has them all."""


def _nothing_aside() -> Aside:
    from grounded_ram.autolabel.summary import Aside

    return Aside()


@dataclass
class Job:
    """What one command has to do, and what it found on the way.

    Args:
        run: where it is written down.
        sources: the pictures.
        labeller: labels them.
        engine: who does it.
        share: which of them.
        retry_failed: do those again that failed.
        only_new: leave out those that have labels of another tool.
        events: where each step is told to a program; None tells people.
    """

    run: Run
    sources: Sources
    labeller: Labeller
    engine: Engine
    share: Share
    retry_failed: bool
    only_new: bool
    events: TextIO | None
    aside: Aside = field(default_factory=_nothing_aside)
    interrupted: bool = False

    def _interrupt(self) -> None:
        self.interrupted = True
        terminal.say("finishing the pictures that were begun; Ctrl-C once more stops at once")

    def items(self, skipped: IO[bytes]) -> Iterator[Item]:
        """Return the items of the sources; write down what is left out, set aside what is lost."""
        from grounded_ram.autolabel.items import Skipped

        for one in self.sources.items():
            if isinstance(one, Skipped):
                self.aside.take(one, skipped)
            elif self.only_new and (found := self.sources.is_labelled(one)) is not None:
                tool = found.partition(":")[0]
                what = f"has labels of {tool} already"
                self.aside.leave_out(one.name, what, found, file=skipped)
            else:
                yield one

    def do(self) -> None:
        """Label what is not labelled yet; Ctrl-C finishes what was begun."""
        from grounded_ram.autolabel.run import label, todo
        from grounded_ram.export.files import replacing

        with (
            self.run.open_part(self.share) as part,
            replacing(self.run.skipped_file) as skipped,
            watching(self.events) as watcher,
            interruptible(self._interrupt, STOPPED),
            _saying_how_to_go_on(self.run.folder),
        ):
            known = len(part.labelled) + (0 if self.retry_failed else len(part.failed))
            if known:
                terminal.say(f"{known:,} pictures were done before; going on with the others")
            tally = Tally(self.sources.count() if self.share.of == 1 else None, known)
            labelled = label(
                part,
                todo(part, self.items(skipped), share=self.share, retry_failed=self.retry_failed),
                labeller=self.labeller,
                engine=self.engine,
                stop=lambda: self.interrupted,
            )
            for outcomes in labelled:
                tally.add(outcomes)
                watcher.told(tally, outcomes)

    def finish(self, target: Target) -> None:
        """Write the summary and the formats, and say what came of the run.

        Raises:
            InputError: there were no pictures.
            GroundedRAMError: somebody took the run's folder away.
            typer.Exit: the run was interrupted, or some pictures failed.
        """
        from grounded_ram.autolabel.run_folder import CONFIG

        folder = self.run.folder
        if not (folder / CONFIG).exists():
            raise GroundedRAMError(f"{folder} was moved or deleted while pictures were labelled")
        if self.interrupted:
            terminal.say(
                f"stopped; all that was labelled is kept in {folder}. "
                "To go on, type the same command again"
            )
            raise typer.Exit(INTERRUPTED)
        failures = self.aside.failures(self.run)
        if self.share.of > 1:
            terminal.say(
                f"share {self.share} is done; when all are: grounded-ram export {folder} "
                "--format ..."
            )
        else:
            self._write(target, any_failed=bool(failures))
        if failures:
            raise typer.Exit(1)

    def _write(self, target: Target, *, any_failed: bool) -> None:
        from grounded_ram.autolabel.items import ENDINGS
        from grounded_ram.autolabel.summary import write_summary

        run = self.run
        dataset = run.dataset()
        with _saying_how_to_go_on(run.folder):
            summary = write_summary(run, dataset, self.aside)
            written = target.write(dataset, run.folder) if len(dataset) else {}
        if self.events is not None:
            folders = {name: str(one.folder) for name, one in written.items()}
            terminal.show_event(self.events, "done", summary=summary, formats=folders)
        else:
            _show_summary(summary, run)
            show_written(written)
            show_stale(run.folder, written)
        if not (len(dataset) or any_failed):
            raise InputError(
                "there were no pictures to label; in folders those are taken that end in "
                + " ".join(sorted(ENDINGS))
            )


@contextmanager
def _saying_how_to_go_on(folder: Path) -> Iterator[None]:
    """Say of a full disk what to do about it."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFullError(
            f"the disk is full: {error}. All that was labelled before is kept in {folder}; "
            "make room, and type the same command again to go on"
        ) from error


def _show_summary(summary: dict[str, Any], run: Run) -> None:
    """Print the counts, and what to look at first."""
    classes = summary["classes"]
    if classes:
        terminal.show_table(
            ("label", "objects", "mean score"),
            (
                (one["name"], str(one["objects"]), f"{one['mean_score']:.2f}")
                for one in classes[:MOST_CLASSES]
            ),
        )
    if len(classes) > MOST_CLASSES:
        terminal.show(f"... and {len(classes) - MOST_CLASSES} more labels")
    terminal.show(
        f"pictures: {summary['pictures']:,}, objects: {summary['objects']:,}, "
        f"without objects: {summary['without_objects']:,}, "
        f"failed: {sum(one['pictures'] for one in summary['failed']):,}"
    )
    for one in summary["failed"]:
        terminal.say(f"failed: {one['pictures']:,}, such as {one['first']}: {one['reason']}")
    for reason, count in summary["skipped"].items():
        terminal.say(f"skipped: {count:,}: {reason}")
    if count := summary["duplicates"]["pictures"]:
        terminal.say(f"same file under several names: {count:,}, such as:")
        terminal.say("  " + " = ".join(summary["duplicates"]["first"][0]))
    _show_first(summary["look_first"])
    terminal.show(f"summary: {run.summary}")
    if summary["failed"]:
        terminal.show(f"failed pictures, and why: {run.failures_file}")
    if summary["skipped"]:
        terminal.show(f"what was left out, and why: {run.skipped_file}")


def _show_first(first: dict[str, Any]) -> None:
    """Print what to look at first."""
    if missed := first["seen_but_not_found"]:
        names = ", ".join(f"{name} {count}" for name, count in missed.items())
        terminal.show(f"seen and not found: {names}")
    if unsure := first["least_sure"]:
        names = ", ".join(f"{one['picture']} ({one['label']})" for one in unsure[:3])
        terminal.show(f"least sure: {names}")
