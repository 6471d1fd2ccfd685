"""`python -m lab.syncstore COMMAND …`: serve, put, get, delete, keys, watch, status, drain, evict, certs.

Owns the choice alone: a node that starts must not pay for what the other commands need.
Exit codes: 0 done, 1 only for a bug of ours, 2 usage, 3 refused or certainly not done, 4 `get` found no
such key, 5 may have been done (a time-out), 130 interrupted.
"""

from __future__ import annotations

import signal
import sys


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        from lab.syncstore.node.serve import main as serve

        return serve(sys.argv[2:])
    from lab.syncstore.commands.app import main as others

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` is no error
    return others(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
