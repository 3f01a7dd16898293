"""Wrong labels and tags found by their regions, and removed."""
