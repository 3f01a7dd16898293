"""The RAM family as torch modules, with the official weights' key names."""
