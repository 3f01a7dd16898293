"""How the models learn: losses, and the loops that made the tiny preset."""
