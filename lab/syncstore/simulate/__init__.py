"""A world in virtual time, in which the same code runs as in a node."""
