"""One process of a `burn`: works for its share of a processor, talks to nobody, and ends with whoever started it.

Run as a file, without site and environment (`python -I -S burner.py SHARE PARENT`): its start is work too,
and is counted as such, like a restarted node's. What it was kept from it makes up for, so that what
it takes in all is what was asked, not what was free.
"""

import os
import sys
import time

SLICE_S = 0.002  # as long as one turn of a busy node's event loop


def burn(share: float, parent: int) -> None:
    """share: of one processor, 0 to 1; until the process that started it is gone, or a signal ends it."""
    begun_s = time.monotonic()
    while os.getppid() == parent:
        spent_s = time.process_time()
        if spent_s < share * (time.monotonic() - begun_s):
            while time.process_time() < spent_s + SLICE_S:
                pass
        else:
            time.sleep(SLICE_S)


if __name__ == "__main__":
    burn(float(sys.argv[1]), int(sys.argv[2]))
