"""How fast a run goes, and how long the rest of it takes."""

from __future__ import annotations


def rate(done: int, seconds: float) -> float:
    """Return pictures per second; 0 where no time has passed."""
    return done / seconds if seconds > 0 else 0.0


def seconds_left(reached: int, total: int | None, per_second: float) -> float | None:
    """Return how long the rest will take; None where nobody knows.

    Args:
        reached: pictures that are done, those of earlier commands included.
        total: pictures that there are; None where nobody knows yet.
        per_second: how many are done in a second.
    """
    if total is None or per_second <= 0:
        return None
    return max(total - reached, 0) / per_second


def duration(seconds: float) -> str:
    """Write a time for people: "2 h 05 min", "3 min", "40 s"."""
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min" if seconds >= 60 else f"{round(seconds)} s"
