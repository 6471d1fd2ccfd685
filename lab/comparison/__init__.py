"""Arms beside each other: the same question put to each, paired by seed.

Not called `compare`: importing a room of that name would hide the function `lab.compare`.
"""
