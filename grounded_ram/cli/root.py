"""The command itself: its sub-commands, ``--version``, and what becomes of errors."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grounded_ram.cli import terminal
from grounded_ram.errors import GroundedRAMError, InputError, UnknownNameError

COMMANDS = (
    "annotate",
    "label",
    "video",
    "ui",
    "serve",
    "export",
    "convert",
    "report",
    "demo",
    "download",
    "models",
    "vocabulary",
    "evaluate",
    "calibrate",
    "bench",
    "parse",
    "train",
    "clean",
    "data_engine",
    "retrieve",
    "train_tiny",
)
"""The sub-commands in the order of ``--help``: each the function, or the group of further
sub-commands, of that name in its own file.
"""

USAGE, FAILURE = 2, 1
"""Exit codes of errors: something that was typed, and anything else."""


class Commands(TyperGroup):
    """Says errors that this package means to raise in plain words, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command that was typed."""
        try:
            return super().invoke(ctx)
        except GroundedRAMError as error:
            terminal.say(f"error: {error}")
            typed = isinstance(error, (InputError, UnknownNameError))
            raise typer.Exit(USAGE if typed else FAILURE) from error
        except BrokenPipeError:  # whoever read our output has seen enough
            raise
        except OSError as error:
            terminal.say(f"error: {error}")
            raise typer.Exit(FAILURE) from error


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _print_version(asked: bool) -> None:
    if asked:
        from grounded_ram import __version__

        terminal.show(f"grounded-ram {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Tag, box and mask any picture with no class list."""


for _name in COMMANDS:
    _command = getattr(import_module(f"{__package__}.{_name}"), _name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command()(_command)


def main() -> int:
    """Run the command with what was typed; the process leaves with its exit code."""
    if not sys.warnoptions:  # libraries warn their developers; our users cannot act on that
        warnings.simplefilter("ignore")
    app(prog_name="grounded-ram")
    return 0
