"""Checkpoints as rows: what each consists of, and where its files come from."""
