"""Videos: objects that keep one number from frame to frame; ``annotate.annotate_video`` is it."""
