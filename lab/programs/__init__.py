"""What it takes to have a server program as a file: for which platform, got how, kept where."""
