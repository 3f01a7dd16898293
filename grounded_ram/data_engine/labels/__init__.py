"""A label system from a corpus of captions: counted, folded, reviewed."""
