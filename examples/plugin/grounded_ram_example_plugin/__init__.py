"""A segmenter and a file format for grounded-ram."""
