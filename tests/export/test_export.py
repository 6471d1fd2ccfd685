"""What an export holds: pure, so without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import plan
from lab.errors import DoesNotFit
from lab.export import compose, delays, images, model, stack, words, write
from lab.export.page import page
from lab.network.toxiproxy.proxies import ToxiproxyNetwork
from lab.plan import Plan
from lab.runtimes.docker.layout import named
from tests import in_process
from tests.integration.whole import ROOT

IMAGES = model.Images({"nats-server": "nats:1", "syncstore": "store:1"}, "road:1", "python:1", local=False)
ARMS = ["jetstream-stretched", "syncstore"]


def planned(experiment: str = "region-partition", arm: str = ARMS[0]) -> Plan:
    return plan.make(str(ROOT / f"experiments/{experiment}.yaml"), arm=arm, runtime="process")


def exported(experiment: str = "region-partition", arm: str = ARMS[0]) -> model.Export:
    asked = planned(experiment, arm)
    programs = {program: IMAGES.programs[program] for program in asked.backend.programs()}
    return model.described(asked, model.Images(programs, IMAGES.road, IMAGES.python, local=False))


def both(export: model.Export) -> Iterator[dict[str, Any]]:
    yield compose.composed(export)
    yield stack.composed(export, "", one_node=False)


@pytest.mark.parametrize("arm", ARMS)
def test_every_foreign_dial_leads_to_the_roads_and_from_there_to_the_node(arm: str) -> None:
    export = exported(arm=arm)
    topology, backend = export.plan.topology, export.plan.backend
    addresses = named(topology, backend)
    for held in both(export):
        for region in topology.regions:
            known: dict[str, list[str]] = {}  # name in the region's network → services
            for name, service in held["services"].items():
                if region in service["networks"]:
                    for alias in (name, *service["networks"][region].get("aliases", [])):
                        known.setdefault(alias, []).append(name)
            for node in topology.nodes:
                leads = known[node.name]
                assert leads == [node.name if node.region == region else f"road-{region}"]
                for port in backend.wan_ports if node.region != region else ():
                    host, _, number = addresses.dial(region, node, port).rpartition(":")
                    road = next(one for one in export.roads if one.region == region)
                    listen, upstream = road.proxies[f"{region}.{node.name}.{port}"]
                    assert (host, listen) == (node.name, f"0.0.0.0:{number}")
                    assert upstream == f"{node.name}.{node.region}:{number}"
                    assert road.delays_ms[f"{region}.{node.name}.{port}"] == topology.rtt(region, node.region) / 2
        for node in topology.nodes:  # that name is the node's alone, everywhere
            service = held["services"][node.name]
            assert list(service["networks"]) == [node.region], "in no network but its region's"
            assert service["hostname"] == node.name
            homes = [
                name
                for name, one in held["services"].items()
                for network in one["networks"].values()
                if f"{node.name}.{node.region}" in network.get("aliases", [])
            ]
            assert homes == [node.name]


@pytest.mark.parametrize("arm", ARMS)
def test_nothing_is_published_beyond_this_machine(arm: str) -> None:
    alone, swarm = both(exported(arm=arm))
    published = [port for service in alone["services"].values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)
    assert not any("ports" in service for service in swarm["services"].values())


def test_a_stack_is_placed_by_label_unless_there_is_one_machine() -> None:
    export = exported()
    placed = stack.composed(export, "", one_node=False)["services"]
    assert placed["sg-2"]["deploy"]["placement"] == {"constraints": ["node.labels.region == sg"]}
    assert placed["road-sg"]["deploy"]["placement"] == {"constraints": ["node.labels.region == sg"]}
    anywhere = stack.composed(export, "", one_node=True)["services"]
    assert not any("placement" in service["deploy"] for service in anywhere.values())


def test_what_is_mounted_is_written_and_a_changed_config_has_another_name() -> None:
    export = exported()
    for files, kept in (
        (write.as_compose(export), compose.FILE),
        (write.as_stack(export, one_node=True), stack.FILE),
    ):
        held = YAML(typ="safe").load(files[kept])
        mounted = {entry["file"] for entry in held.get("configs", {}).values()} | {
            mount.split(":")[0] for one in held["services"].values() for mount in one["volumes"] if mount[0] == "."
        } if kept == compose.FILE else {entry["file"] for entry in held["configs"].values()}  # fmt: skip
        assert {name.removeprefix("./") for name in mounted} == set(files) - {kept, write.HOW}
        for service in held["services"].values():
            assert {one["source"] for one in service.get("configs", [])} <= set(held.get("configs", {}))
    names = [
        {one["name"] for one in stack.composed(export, script, one_node=True)["configs"].values()}
        for script in ("one", "other")
    ]
    assert len(names[0] ^ names[1]) == 2
    assert all(len(name) <= 64 for name in names[0])


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_input_gives_the_same_bytes(arm: str) -> None:
    assert list(write.as_compose(exported(arm=arm)).items()) == list(write.as_compose(exported(arm=arm)).items())
    one, other = (write.as_stack(exported(arm=arm), one_node=False) for _ in range(2))
    assert list(one.items()) == list(other.items())


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="there is no docker-compose here.")
@pytest.mark.parametrize("arm", ARMS)
def test_compose_takes_the_file(arm: str, tmp_path: Path) -> None:
    write.write(tmp_path, write.as_compose(exported(arm=arm)))
    done = subprocess.run(["docker-compose", "config", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("experiment", ["region-partition", "gray-region", "region-mute", "region-rate"])
def test_the_harm_that_is_typed_is_the_labs_own(experiment: str) -> None:
    export = exported(experiment)
    network, asked = ToxiproxyNetwork(), export.plan
    network._topology, network._road = asked.topology, named(asked.topology, asked.backend)
    wanted = {
        (one.proxy, one.type, one.stream, one.attributes)
        for number, fault in enumerate(asked.faults, 1)
        for link, harm in fault.impairments.items()
        for one in network._toxics(f"harm{number}", link, harm)
        if not one.proxy.startswith("witness.")
    }
    text = page(export, words.ComposeWords(export))
    typed, roads, road = [], set(), ""
    for line in text.splitlines():
        if found := re.fullmatch(r"road=\$\(docker compose ps -q road-(\w+)\)", line):
            road = found[1]
        if found := re.search(r"toxic add -t (\w+) -a (\w+)=(\d+) -n harm\d+_(\w+) --(\w+) (\S+)", line):
            kind, key, value, named_for, stream, proxy = found.groups()
            assert named_for == stream
            typed.append((proxy, kind, stream, ((key, int(value)),)))
            roads.add((road, proxy.split(".")[0]))
    assert wanted and set(typed) == wanted and len(typed) == len(wanted)
    assert all(one == other for one, other in roads), "each is typed on the road that has the proxy"
    assert text.count("toxic add") == text.count("toxic remove")


def test_what_is_refused_is_toggled_once_and_toggled_back(tmp_path: Path) -> None:
    file = tmp_path / "refused.yaml"
    file.write_text((ROOT / "experiments/region-partition.yaml").read_text().replace("stall", "refuse"))
    asked = plan.make(str(file), arm=ARMS[0], runtime="process")
    export = model.described(asked, IMAGES)
    lines = re.findall(r"toggle (\S+)", page(export, words.StackWords(export, True)))
    assert sorted(lines) == sorted(2 * sorted(set(lines))) and len(lines) == 2 * (6 + 3 + 3)


@pytest.mark.parametrize(
    ("experiment", "alone", "swarm"),
    [
        ("region-pause", "docker compose unpause sg-2", "docker unpause $(docker ps -q -f label=com.docker"),
        ("region-restart", "docker compose start sg-2", "docker service scale region-restart_sg-2=1"),
        ("flap-control", "made by the lab alone", "made by the lab alone"),
        ("no-fault", "The experiment harms nothing.", "The experiment harms nothing."),
    ],
)
def test_nodes_are_harmed_too_and_what_cant_be_typed_is_said(experiment: str, alone: str, swarm: str) -> None:
    export = exported(experiment)
    assert alone in page(export, words.ComposeWords(export))
    assert swarm in page(export, words.StackWords(export, False))


def test_official_images_by_name_and_a_sentence_where_there_is_none() -> None:
    found = images.official(planned(arm="jetstream-stretched@2.10.26"))
    assert (found.programs, found.road) == ({"nats-server": "nats:2.10.26"}, "ghcr.io/shopify/toxiproxy:2.12.0")
    assert images.official(planned(arm="jetstream-stretched@image:mine/nats:7")).programs == {
        "nats-server": "mine/nats:7"
    }
    with pytest.raises(DoesNotFit, match="syncstore has no public image: say --local-images"):
        images.official(planned(arm="syncstore"))
    with pytest.raises(DoesNotFit, match=r"expected a version of nats-server .*found the file \./nats"):
        images.official(planned(arm="jetstream-stretched@./nats"))


def test_only_an_own_folder_is_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "made/here"
    write.write(folder, {"a/b": "1", "c": "2"})
    write.write(folder, {"c": "3"})
    assert (folder / "c").read_text() == "3" and not (folder / "a").exists()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/notes").touch()
    (tmp_path / "file").touch()
    for name in ("theirs", "file"):
        with pytest.raises(DoesNotFit, match="expected a new folder, an empty one, or an earlier export"):
            write.write(tmp_path / name, {"c": "3"})
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["notes"]


def test_nothing_outside_of_the_folder_is_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    write.write(tmp_path / "made", {"c": "1"})
    (tmp_path / "made" / write.MARK).write_text("../outside\nc\n")
    write.write(tmp_path / "made", {"c": "2"})
    assert outside.exists()


def test_a_road_that_forgot_its_delays_gets_them_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, Any] = {"us.sg-1.routes": {"toxics": [{"name": "delay_upstream"}, {"name": "harm1_upstream"}]}}
    posted = []

    def ask(url: str, body: Any = None) -> Any:
        if body is None:
            return there
        posted.append((url, body))
        there["us.sg-1.routes"]["toxics"].append(body)
        return body

    monkeypatch.setattr(delays, "ask", ask)
    assert [delays.mended("road-us:8474", {"us.sg-1.routes": 100}) for _ in range(2)] == [1, 0]
    assert posted == [
        (
            "http://road-us:8474/proxies/us.sg-1.routes/toxics",
            {"name": "delay_downstream", "type": "latency", "stream": "downstream", "attributes": {"latency": 100}},
        )
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["region-partition"], 2, "say either --compose or --stack"),
        (["region-partition", "--compose", "--stack"], 2, "say either --compose or --stack"),
        (["region-partition", "--compose", "--one-node"], 2, "--one-node goes with --stack"),
        (["region-partitoin", "--stack"], 12, "did you mean 'region-partition'"),
        (["region-partition", "--stack", "--arm", "sinkstore"], 12, "unknown backend 'sinkstore'"),
        (["region-partition", "--stack", "--topology", "three"], 12, "unknown topology 'three'"),
        (["region-partition", "--stack", "--arm", "syncstore"], 12, "syncstore has no public image"),
        (["region-partition", "--stack", "--arm", "memory"], 12, "backend 'memory' does not run"),
        (["region-partition", "--compose", "--to", str(ROOT)], 12, "expected a new folder"),
        (["region-partition", "--compose", "--local-images"], 12, "no container engine answers"),
    ],
)
def test_refusals(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    for name in ("experiments", "topologies"):
        shutil.copytree(ROOT / name, tmp_path / name)
    done = in_process.lab(tmp_path, "export", *arguments)
    assert done.returncode == code
    assert said in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize(("kind", "file"), [("--compose", compose.FILE), ("--stack", stack.FILE)])
def test_a_folder_is_written_and_named(tmp_path: Path, kind: str, file: str) -> None:
    for name in ("experiments", "topologies"):
        shutil.copytree(ROOT / name, tmp_path / name)
    done = in_process.lab(tmp_path, "export", "region-partition", kind, "--topology", "two-regions")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "exports").iterdir()
    assert folder.name == f"region-partition-on-two-regions-jetstream-stretched-{kind[2:]}"
    assert done.stdout.strip().endswith(f"{folder.name}/{write.HOW}")
    services = YAML(typ="safe").load((folder / file).read_text())["services"]
    assert {name for name in services if name.startswith("road-")} == {"road-us", "road-sg"}
