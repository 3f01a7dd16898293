"""Tag lists: what the tags are called, in other languages, too."""
