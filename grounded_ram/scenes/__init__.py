"""Picture-book scenes drawn by code, with exact truth: for demo, tests and the tiny preset."""
