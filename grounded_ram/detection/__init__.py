"""Detectors: where the tags of a picture are, as boxes."""
