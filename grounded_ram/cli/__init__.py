"""The command ``grounded-ram``, one file a command; the only room that prints."""

from grounded_ram.cli.root import main

__all__ = ["main"]
