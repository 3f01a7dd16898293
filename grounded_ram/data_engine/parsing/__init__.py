"""Captions -> tags, by semantic parsing."""
