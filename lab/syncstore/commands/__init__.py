"""The commands of `python -m lab.syncstore`, but for `serve`, which is `node.serve`."""
