"""How long each stage takes, what the machine could do, and how the usual way compares."""
