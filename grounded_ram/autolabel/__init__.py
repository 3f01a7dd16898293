"""Whole datasets at once: what is in them, and labels for all of it."""
