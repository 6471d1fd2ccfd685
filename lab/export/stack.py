"""The model as a Swarm stack: an overlay network for each region, its nodes on machines that bear its label. Pure.

Nothing is published: a swarm can't bind a port to 127.0.0.1, and these servers know no passwords. The networks are
attachable, so that clients can be started within. Names lead to containers (`dnsrr`), not to a virtual address.
"""

from __future__ import annotations

import hashlib
from typing import Any

from lab.export.model import CONTROL, DELAYS, DELAYS_MEMORY, NODE_MEMORY, ROAD_MEMORY, Export, Road, at_home
from lab.protocols import NodeSpec
from lab.runtimes.docker.layout import API_PORT, EVERYWHERE

FILE = "stack.yaml"
LABEL = "region"
VERSION = "3.8"


def files(export: Export) -> dict[str, str]:
    """Path in the folder → text, of all that the stack's configs are made of."""
    return {path: text for path, _, text in _configs(export).values()}


def composed(export: Export, script: str, *, one_node: bool) -> dict[str, Any]:
    """What stack.yaml holds. script: of the delays. one_node: nobody is placed by label."""
    configs = _configs(export) | {DELAYS: (f"{DELAYS}.py", "/delays.py", script)}
    services = {node.name: _node(export, node, one_node) for node in export.nodes}
    services |= {road.name: _road(export, road, one_node) for road in export.roads}
    services[DELAYS] = _delays(export)
    return {
        "version": VERSION,
        "services": services,
        "networks": {name: {"driver": "overlay", "attachable": True} for name in (*export.regions, CONTROL)},
        "volumes": {node.name: {} for node in export.nodes},
        # by content, since a swarm never changes a config
        "configs": {
            name: {"file": f"./{path}", "name": f"{export.name}-{name}-{_digest(text)}"}
            for name, (path, _, text) in configs.items()
        },
    }


def _configs(export: Export) -> dict[str, tuple[str, str, str]]:
    """Config → (path in the folder, path in the container, text)."""
    found = {
        f"{node.name}-{number}": (f"files/{node.name}/{name}", f"/{name}", text)
        for node in export.nodes
        for number, (name, text) in enumerate(node.files.items())
    }
    found |= {road.name: (f"files/{road.name}/road.json", "/road.json", road.configuration) for road in export.roads}
    return found | {f"{DELAYS}-ms": (f"files/{DELAYS}/delays.json", "/delays.json", export.delays)}


def _node(export: Export, node: NodeSpec, one_node: bool) -> dict[str, Any]:
    return {
        "image": export.images.programs[node.program],
        "hostname": node.name,
        "command": list(node.arguments),
        "working_dir": "/",
        "volumes": [f"{node.name}:/data"],
        "configs": [{"source": f"{node.name}-{n}", "target": f"/{name}"} for n, name in enumerate(node.files)],
        "networks": {node.region: {"aliases": [at_home(node.name, node.region)]}},
        "cap_drop": ["ALL"],
        "deploy": _deploy(NODE_MEMORY, "" if one_node else node.region),
    }


def _road(export: Export, road: Road, one_node: bool) -> dict[str, Any]:
    names = {region: {"aliases": list(road.aliases)} if region == road.region else {} for region in export.regions}
    return {
        "image": export.images.road,
        "command": ["-host", EVERYWHERE, "-port", str(API_PORT), "-config", "/road.json"],
        "configs": [{"source": road.name, "target": "/road.json"}],
        "networks": {**names, CONTROL: {}},
        "cap_drop": ["ALL"],
        "deploy": _deploy(ROAD_MEMORY, "" if one_node else road.region),
    }


def _delays(export: Export) -> dict[str, Any]:
    return {
        "image": export.images.python,
        "entrypoint": ["python3", "/delays.py"],
        "configs": [
            {"source": DELAYS, "target": "/delays.py"},
            {"source": f"{DELAYS}-ms", "target": "/delays.json"},
        ],
        "networks": {CONTROL: {}},
        "init": True,
        "cap_drop": ["ALL"],
        "deploy": _deploy(DELAYS_MEMORY, ""),
    }


def _deploy(memory: str, region: str) -> dict[str, Any]:
    found: dict[str, Any] = {"endpoint_mode": "dnsrr", "resources": {"limits": {"memory": memory}}}
    if region:
        found["placement"] = {"constraints": [f"node.labels.{LABEL} == {region}"]}
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
