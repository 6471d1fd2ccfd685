"""Toxiproxy: the one road between regions. The word `toxic` lives in this folder only."""
