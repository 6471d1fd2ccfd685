"""Which lines of a nats-server log an operator would look for, and when they were written."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from lab.events import Sample

# `[12345] 2026/11/23 10:15:00.123456 [INF] text`
LINE = re.compile(r"^\[\d+\] (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}) \[(\w{3})\] (.*)$")
TELLING = re.compile(
    r"new JetStream cluster metadata leader|new metadata leader|no metadata leader|new stream leader|"
    r"NO quorum|has no leader|no longer leader|not cleaned up|Stale Connection|Slow Consumer|stalled|"
    r"Falling behind|out of resources|Stepping down|stepping down|Catchup|catchup|reset|Server is ready"
)
AT_MOST = 2_000


def notable(node: str, region: str, lines: Sequence[str], pair: tuple[int, int]) -> Iterable[Sample]:
    """Telling lines, and every warning and error, as samples named `log`; the last 2,000."""
    wall_ns, monotonic_ns = pair
    kept: deque[Sample] = deque(maxlen=AT_MOST)
    for line in lines:
        match = LINE.match(line)
        if not match or not (TELLING.search(match[3]) or match[2] in ("WRN", "ERR", "FTL")):
            continue
        written = datetime.strptime(match[1], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
        at_ns = int(written.timestamp() * 1e6) * 1_000 - wall_ns + monotonic_ns
        kept.append(Sample(at_ns=at_ns, node=node, region=region, name="log", text=f"[{match[2]}] {match[3]}"))
    return kept
