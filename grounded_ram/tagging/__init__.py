"""Tagger adapters: networks that say what is in a picture."""
