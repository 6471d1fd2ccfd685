"""Exports started on this engine by what their page says, word for word: up, far apart, harmed, healed and gone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest

from lab import plan
from lab.export import images, model, write

pytestmark = [pytest.mark.docker, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CLIENT = Path(__file__).with_name("client.py")
UP_WITHIN_S, HEALED_WITHIN_S = 120.0, 90.0
BRIDGE = "docker_gwbridge"


@dataclass
class Folder:
    """An export and its page."""

    path: Path
    export: model.Export
    name: str
    label: str

    def type(self, title: str) -> str:
        """What the shell says to the blocks below a title of the page (or below `Harm:`, `Heal:`)."""
        page = (self.path / write.HOW).read_text()
        below = page.split(f"\n{title}\n", 1)[1]
        below = re.split(r"\n(?:## |Heal:)", below, maxsplit=1)[0]
        blocks = re.findall(r"```sh\n(.*?)```", below, re.DOTALL)
        assert blocks, f"nothing to type below {title}"
        return self.shell("".join(blocks))

    def shell(self, text: str) -> str:
        if not _plugin():
            text = text.replace("docker compose", "docker-compose")
        done = subprocess.run(["sh", "-e"], input=text, cwd=self.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, region: str, *arguments: str) -> str:
        """What a client in a region's network answers. Raises CalledProcessError."""
        package = Path(nats.__file__).parent
        mounts = ["-v", f"{CLIENT}:/extra/client.py:ro", "-v", f"{package}:/extra/nats:ro", "-e", "PYTHONPATH=/extra"]
        command = ["docker", "run", "--rm", "--network", f"{self.name}_{region}", *mounts, self.export.images.python]
        done = subprocess.run(
            [*command, "/extra/client.py", *arguments], capture_output=True, text=True, check=True, timeout=200
        )
        return done.stdout.strip()

    def port(self, node: str, port: str) -> str:
        return f"{node}:{self.export.ports[node][port]}"

    def left(self) -> list[str]:
        mine = ["-f", f"label={self.label}={self.name}"]
        asked = (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"])
        return [line for one in asked for line in _docker(*one, *mine).split()]


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def _plugin() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


def until(what: Callable[[], bool], within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if what():
            return True
        time.sleep(0.5)
    return what()


def _removed(network: str) -> bool:
    gone = subprocess.run(["docker", "network", "rm", network], capture_output=True, text=True, check=False)
    return gone.returncode == 0 or "not found" in gone.stderr.lower() or "No such" in gone.stderr


def _has_ingress() -> bool:
    inspect = ["docker", "network", "inspect", "ingress", "-f", "{{.Containers}}"]
    return "ingress-sbox" in subprocess.run(inspect, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def swarm() -> Iterator[None]:
    """This engine as a swarm of one machine; left as it was."""
    if _docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip() != "inactive":
        pytest.skip("this engine is in a swarm already, which a test leaves alone.")
    before = _docker("network", "ls", "-q", "-f", f"name={BRIDGE}").split()
    _docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        # an engine that leaves while it still makes its ingress network keeps half of it for ever
        assert until(_has_ingress, 60)
        yield
    finally:
        _docker("swarm", "leave", "--force")
        if not before:  # the engine takes its own endpoint from it a moment later
            assert until(lambda: _removed(BRIDGE), 30), f"the network {BRIDGE} can't be removed"


@pytest.fixture(params=["compose", "stack"])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Folder]]:
    """Makes an arm's export and starts it as the page says; it is stopped at the end, whatever came before."""
    kind, made = request.param, []
    if kind == "compose" and not (_plugin() or shutil.which("docker-compose")):
        pytest.skip("there is no `docker compose` and no `docker-compose` here (Debian: docker-compose).")
    if kind == "stack":
        request.getfixturevalue("swarm")

    def start(arm: str) -> Folder:
        asked = plan.make(str(ROOT / "experiments/region-partition.yaml"), arm=arm, runtime="process")
        export = model.described(asked, images.local(asked, print))
        path = tmp_path / f"lab-export-{arm}-{tmp_path.name}".lower().replace("_", "-")
        files = write.as_compose(export) if kind == "compose" else write.as_stack(export, one_node=True)
        write.write(path, files)
        name, label = (path.name, "com.docker.compose.project")
        if kind == "stack":
            name, label = export.name, "com.docker.stack.namespace"
        folder = Folder(path, export, name, label)
        made.append(folder)
        folder.type("## Start")
        return folder

    try:
        yield start
    finally:
        for folder in made:
            if folder.left():
                folder.type("## Stop")
            assert until(lambda folder=folder: not folder.left(), 30), folder.left()  # type: ignore[misc]


def has_delays(folder: Folder) -> bool:
    """Every proxy of every road says its two."""
    for road in folder.export.roads:
        for proxy, delay_ms in road.delays_ms.items():
            inspect = ["docker", "exec", _container(folder, road.name), "/toxiproxy-cli", "inspect", proxy]
            said = subprocess.run(inspect, capture_output=True, text=True, check=False).stdout
            if said.count(f"latency={delay_ms}") != 2:
                return False
    return True


def _container(folder: Folder, service: str) -> str:
    named = "com.docker.compose.service" if "compose" in folder.label else "com.docker.swarm.service.name"
    value = service if "compose" in folder.label else f"{folder.name}_{service}"
    found = _docker("ps", "-q", "-f", f"label={folder.label}={folder.name}", "-f", f"label={named}={value}").split()
    assert len(found) < 2, f"{service}: {found}"
    return found[0] if found else "none-yet"


def ways_round(folder: Folder) -> list[str]:
    """Nodes whose own addresses answer in another region's network; that the look sees is shown in their own."""
    found = []
    for node in folder.export.nodes:
        if not node.name.endswith("-1"):
            continue
        networks = json.loads(_docker("inspect", _container(folder, node.name)))[0]["NetworkSettings"]["Networks"]
        ip = networks[f"{folder.name}_{node.region}"]["IPAddress"]
        for region in folder.export.regions:
            answer = folder.ask(region, "answers", f"{ip}:{folder.export.ports[node.name]['monitor']}")
            assert region != node.region or answer == "yes"
            if region != node.region and answer == "yes":
                found.append(f"{node.name} from {region}")
    return found


def far_apart(folder: Folder) -> bool:
    """Every route of us-1 takes as long as the topology says."""
    rtts = json.loads(folder.ask("us", "routes", folder.port("us-1", "monitor")))
    topology = folder.export.plan.topology
    others = [node for node in topology.nodes if node.name != "us-1"]
    return all(
        node.name in rtts and topology.rtt("us", node.region) <= rtts[node.name] < topology.rtt("us", node.region) + 60
        for node in others
    )


def writes(folder: Folder, region: str, value: str) -> bool:
    try:
        folder.ask(region, "put", folder.port(f"{region}-1", "client"), "us", value)
    except subprocess.CalledProcessError:
        return False
    return True


def test_jetstream_up_far_apart_harmed_healed_and_gone(started: Callable[[str], Folder]) -> None:
    folder = started("jetstream-stretched")
    folder.ask("us", "bucket", folder.port("us-1", "client"), "us", str(UP_WITHIN_S))
    assert until(lambda: has_delays(folder), 30)
    folder.type("## Look")
    assert until(lambda: writes(folder, "us", "here"), 30)
    assert folder.ask("eu", "get", folder.port("eu-1", "client"), "us") == "here"
    assert until(lambda: far_apart(folder), 90)
    assert ways_round(folder) == []
    folder.type("Harm:")
    assert not writes(folder, "sg", "cut off")
    assert until(lambda: writes(folder, "us", "alone"), 30), "the others have a majority"
    folder.type("Heal:")
    assert until(lambda: writes(folder, "sg", "back"), HEALED_WITHIN_S)
    assert until(lambda: folder.ask("us", "get", folder.port("us-1", "client"), "us") == "back", 20)
    folder.type("## Stop")
    assert until(lambda: not folder.left(), 30), folder.left()


def test_syncstore_up_far_apart_harmed_healed_and_gone(started: Callable[[str], Folder]) -> None:
    folder = started("syncstore")

    def store(region: str, command: str) -> str:
        url = f"syncstore://{folder.port(f'{region}-1', 'client')}"
        node = _container(folder, f"{region}-1")
        done = subprocess.run(
            ["docker", "exec", node, "python3", "-m", "lab.syncstore", *command.split(), "--url", url],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else ""

    assert until(lambda: bool(store("us", "put global k first")), UP_WITHIN_S)
    assert until(lambda: has_delays(folder), 30)
    assert until(lambda: store("sg", "get global k") == "first", 30)
    assert ways_round(folder) == []
    folder.type("## Use")
    folder.type("Harm:")
    assert store("us", "put global k second")
    assert until(lambda: store("eu", "get global k") == "second", 10)
    time.sleep(3)
    assert store("sg", "get global k") == "v", "what was there before the cut"
    folder.type("Heal:")
    assert until(lambda: store("sg", "get global k") == "second", HEALED_WITHIN_S)
    folder.type("## Stop")
    assert until(lambda: not folder.left(), 30), folder.left()
