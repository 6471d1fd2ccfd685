"""Runs that differ in their seed only, as one: numbers with their interval, outages as counts."""
