"""SyncStore side by side with JetStream, on one machine in one run: `python -m lab.bench`.

A table of ratios with their spread; never a test, since a machine's speed proves nothing about a program.
Each row of the table is a file of `rows/`; the store itself imports none of this.
"""
