"""What a node's container is made of: its files, its limits, its health check. Pure.

Its data lie in the container's own layer, on the engine's disk and the same one for every backend: they outlive a
stop, go with the container, and what is synced is synced. So the root can't be read-only; all else that a server
does not need is taken from it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from docker.types import Healthcheck, LogConfig, Ulimit

from lab.protocols import TOXIPROXY, NodeSpec
from lab.runtimes.docker.layout import API_PORT

HOME = "node"
NOBODY = 65534
OPEN_FILES, PROCESSES = 16_384, 4096
NODE_MEMORY, ROAD_MEMORY = "512m", "1g"
"""Far above what they take here: one that runs wild takes itself down, not the machine. Toxiproxy's is larger, since
it holds what a stalled link holds back. No limit of CPU: nodes share the cores, evenly, as processes do."""
LOG = {"max-size": "64m", "max-file": "2"}
HEALTH_EVERY_S, HEALTH_APART_S = 300, 20
NS_PER_S = 1_000_000_000
ASK = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', {port}), 2); "
    "s.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"
)
"""In Python without its site packages, which would cost twenty times as much."""


def settings(spec: NodeSpec, turn: int, ports: Mapping[str, int]) -> dict[str, Any]:
    """What a container is made with. turn: the node's number. ports: the node's, name → number."""
    return {
        "command": list(spec.arguments),
        "hostname": spec.name,
        "user": f"{NOBODY}:{NOBODY}",
        "working_dir": f"/{HOME}",
        "environment": {"TZ": "UTC"},
        "healthcheck": health(spec, turn, ports),
    }


def limits(spec: NodeSpec) -> dict[str, Any]:
    """What the engine holds it to. Without a restart policy: a node that died must be seen dead."""
    memory = ROAD_MEMORY if spec.name == TOXIPROXY else NODE_MEMORY
    return {
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": PROCESSES,
        "ulimits": [Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES)],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "log_config": LogConfig(type=LogConfig.types.JSON, config=LOG),
    }


def health(spec: NodeSpec, turn: int, ports: Mapping[str, int]) -> Healthcheck | None:
    """By a tool in the image; an image from scratch around nats-server has none, and is asked from outside alone.

    Seldom, and no two nodes at once: for people who look at a deployment that stands for long. Asked every 20 to
    30 s, nine nodes' checks (a process started by the engine each) raised the workers' loop lag p99 from 9-20 ms to
    26-43 ms on two busy cores, and the lab's own samples know better who answers."""
    if spec.name == TOXIPROXY:
        test = ["CMD", "/toxiproxy-cli", "-h", f"127.0.0.1:{API_PORT}", "list"]
    elif spec.program == "syncstore":
        test = ["CMD", "python3", "-ISc", ASK.format(port=ports["monitor"])]
    else:
        return None
    every_s = HEALTH_EVERY_S + HEALTH_APART_S * turn
    return Healthcheck(test=test, interval=every_s * NS_PER_S, timeout=5 * NS_PER_S, retries=3)


def home(files: Mapping[str, str]) -> bytes:
    """A node's directory with its files, as an archive for the root."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        folder = tarfile.TarInfo(HOME)
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, NOBODY, NOBODY
        tar.addfile(folder)
        for name, text in files.items():
            content = text.encode()
            file = tarfile.TarInfo(f"{HOME}/{name}")
            file.size, file.mode, file.uid, file.gid = len(content), 0o644, NOBODY, NOBODY
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()
