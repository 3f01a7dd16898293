"""A home in the tools that users already have: autodistill, FiftyOne, Hugging Face."""
