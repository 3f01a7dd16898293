"""Annotations in the formats of other tools: a pure ``to_x`` and a thin writer each."""
