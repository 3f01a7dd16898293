"""Segmenter adapters: boxes in, exact pixels out."""
