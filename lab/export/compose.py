"""The model as a compose file, for one machine. Pure.

Everything is published on 127.0.0.1 alone. Files are mounted as they lie in the folder: older compose programs know no
`configs`. Without `name` and `version`: one of the two is refused or warned of by every compose program.
"""

from __future__ import annotations

from typing import Any

from lab.export.model import CONTROL, DELAYS, DELAYS_MEMORY, NODE_MEMORY, ROAD_MEMORY, Export, Road, at_home
from lab.protocols import NodeSpec
from lab.runtimes.docker.layout import API_PORT, EVERYWHERE

FILE = "compose.yaml"
LOOPBACK = "127.0.0.1"


def files(export: Export) -> dict[str, str]:
    """Path in the folder → text, of all that compose.yaml mounts."""
    found = {_kept(node.name, name): text for node in export.nodes for name, text in node.files.items()}
    found |= {_kept(road.name, "road.json"): road.configuration for road in export.roads}
    return found | {_kept(DELAYS, "delays.json"): export.delays}


def composed(export: Export) -> dict[str, Any]:
    """What compose.yaml holds."""
    services = {node.name: _node(export, node) for node in export.nodes}
    services |= {road.name: _road(export, road, API_PORT + turn) for turn, road in enumerate(export.roads)}
    services[DELAYS] = _delays(export)
    return {
        "services": services,
        "networks": {name: {"driver": "bridge"} for name in (*export.regions, CONTROL)},
        "volumes": {node.name: {} for node in export.nodes},
    }


def api_port(export: Export, region: str) -> int:
    """Where a region's road is told what to do, on this machine."""
    return API_PORT + export.regions.index(region)


def _node(export: Export, node: NodeSpec) -> dict[str, Any]:
    mounts = [f"./{_kept(node.name, name)}:/{name}:ro" for name in node.files]
    ports = [export.ports[node.name][port] for port in export.reached]
    return {
        "image": export.images.programs[node.program],
        "hostname": node.name,
        "command": list(node.arguments),
        "working_dir": "/",
        "volumes": [f"{node.name}:/data", *mounts],
        "networks": {node.region: {"aliases": [at_home(node.name, node.region)]}},
        "ports": [f"{LOOPBACK}:{port}:{port}" for port in ports],
        **_limits(NODE_MEMORY),
    }


def _road(export: Export, road: Road, port: int) -> dict[str, Any]:
    names = {region: {"aliases": list(road.aliases)} if region == road.region else {} for region in export.regions}
    return {
        "image": export.images.road,
        "command": ["-host", EVERYWHERE, "-port", str(API_PORT), "-config", "/road.json"],
        "volumes": [f"./{_kept(road.name, 'road.json')}:/road.json:ro"],
        "networks": {**names, CONTROL: {}},
        "ports": [f"{LOOPBACK}:{port}:{API_PORT}"],
        **_limits(ROAD_MEMORY),
    }


def _delays(export: Export) -> dict[str, Any]:
    return {
        "image": export.images.python,
        "entrypoint": ["python3", "/delays.py"],
        "command": [],
        "volumes": [f"./{DELAYS}.py:/delays.py:ro", f"./{_kept(DELAYS, 'delays.json')}:/delays.json:ro"],
        "networks": {CONTROL: {}},
        "init": True,  # Python as the first process would not end at SIGTERM
        **_limits(DELAYS_MEMORY),
    }


def _limits(memory: str) -> dict[str, Any]:
    return {"mem_limit": memory.lower(), "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


def _kept(owner: str, name: str) -> str:
    return f"files/{owner}/{name}"
