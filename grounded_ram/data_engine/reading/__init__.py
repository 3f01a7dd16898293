"""A user's own pictures, tags and captions, from whatever tells about them."""
