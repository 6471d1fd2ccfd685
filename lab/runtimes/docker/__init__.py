"""Nodes as containers, one bridge network per region. The `docker` library is used in this folder only."""
