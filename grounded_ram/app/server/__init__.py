"""Annotation over HTTP: pictures in, labels out, for many callers at once."""
