"""What stays running: a page for people, a server for programs."""
