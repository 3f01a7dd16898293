"""Picture-book scenes drawn by code, with exact truth: for the demo, the tests and the tiny preset."""
