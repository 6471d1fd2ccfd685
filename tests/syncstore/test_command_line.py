"""The command line: settings and their mistakes, what a start imports, and the commands against a real node."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.syncstore.commands import app
from lab.syncstore.errors import Refused
from lab.syncstore.node import serve, settings_file
from lab.syncstore.node.addresses import Address, Addresses, address, addresses
from lab.syncstore.node.example import TEXT
from tests.syncstore.nodes import free_ports
from tests.syncstore.processes import Process, region, running

SIX = ",".join(f"n{n}=127.0.0.1:{7000 + 10 * n}" for n in range(6))
ROOT = Path(__file__).parents[2]
GOOD = """
cluster = "c"
[regions.sg]
sg-1 = "127.0.0.1:7100"
sg-2 = "127.0.0.1:7110"
[regions.eu]
eu-1 = { client = "127.0.0.1:7200", peer = "127.0.0.1:7201", wan = "127.0.0.1:7202" }
"""


def chosen(*arguments: str):
    return serve.from_options(serve._parser().parse_args(list(arguments))).check()


# -- settings ----------------------------------------------------------------------------------------


def test_the_example_is_a_configuration(tmp_path):
    path = tmp_path / "syncstore.toml"
    path.write_text(TEXT)
    found = chosen("--config", str(path), "--node", "sg-1")
    assert found.listened == addresses("127.0.0.1:7100")
    assert found.data == tmp_path / "data" / "sg-1"
    assert found.reached == {
        "sg-2": Address("127.0.0.1", 7111),
        "sg-3": Address("127.0.0.1", 7121),
        "eu-1": Address("127.0.0.1", 7202),
    }
    assert found.config.members == {"sg": ("sg-1", "sg-2", "sg-3"), "eu": ("eu-1",)}
    uncommented = TEXT.replace("\n# [", "\n[").replace("\n# eu-1 =", "\neu-1 =").replace("\n# ca ", "\nca ")
    uncommented = uncommented.replace("\n# cert", "\ncert").replace("\n# key", "\nkey").replace("\n# degr", "\ndegr")
    path.write_text(uncommented)
    whole = chosen("--config", str(path), "--node", "sg-1")
    assert whole.reached["eu-1"] == Address("127.0.0.1", 9202)
    assert whole.tls.key == tmp_path / "certs" / "sg-1.key"
    assert whole.limits.degraded_after_ms == 50
    assert chosen("--config", str(path), "--node", "eu-1").dial == {}, "other regions dial elsewhere"


def test_serve_prints_the_example(capsys):
    assert serve.main(["--example"]) == 0
    assert capsys.readouterr().out == TEXT


def test_without_options_one_node_serves_at_the_usual_address():
    found = chosen()
    assert (found.region, found.node, found.data) == ("local", "node-1", Path("syncstore-data/node-1"))
    assert found.listened == addresses("127.0.0.1:7100")


def test_peers_on_the_command_line():
    found = chosen("--region", "sg", "--node", "a", "--peers", "a=127.0.0.1:7100,b=localhost:7110,eu/c=[::1]:7200")
    assert found.config.members == {"sg": ("a", "b"), "eu": ("c",)}
    assert found.reached == {"b": Address("localhost", 7111), "c": Address("::1", 7202)}
    assert chosen("--peers", "only=127.0.0.1:7100").node == "only"


def test_listening_elsewhere_keeps_the_ports():
    found = chosen("--peers", "a=10.0.0.1:7100", "--listen", "127.0.0.1")
    assert found.listened == addresses("127.0.0.1:7100")
    assert chosen("--peers", "a=10.0.0.1:7100", "--insecure").listened == addresses("10.0.0.1:7100")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--node", "x", "--peers", "a=127.0.0.1:7100"], 'say which node this is: --node with one of a, found "x"'),
        (["--peers", "a=127.0.0.1:7100,b=127.0.0.1:7110"], "say which node this is: --node with one of a, b"),
        (["--peers", "a"], '--peers: expected name=host:port or region/name=host:port, found "a"'),
        (["--peers", "=127.0.0.1:1"], "--peers: expected name=host:port"),
        (["--peers", "a=127.0.0.1:7100,a=127.0.0.1:7110"], "--peers: a is named twice"),
        (["--peers", "a=127.0.0.1"], 'expected an address as host:port, found "127.0.0.1"'),
        (["--peers", "a=127.0.0.1:65534"], "expected an address with three ports after it"),
        (
            ["--node", "a", "--peers", "a=127.0.0.1:7100,b=127.0.0.1:7102"],
            "expected one use, found a's http and b's peer",
        ),
        (
            ["--peers", "a b=127.0.0.1:7100"],
            'node: expected a name of at most 31 letters, digits and _.- , found "a b"',
        ),
        (["--region", "s/g"], "region: expected a name of at most 31 letters"),
        (
            ["--peers", "a=0.0.0.0:7100"],
            "expected TLS to listen at 0.0.0.0:7101, which others than this machine may reach",
        ),
        (["--peers", "a=example.org:7100"], "or say --insecure"),
        (["--listen", "::"], "expected TLS to listen at [::]:7101"),
        (["--peers", SIX, "--node", "n0"], "expected 1 to 5 nodes, found 6"),
        (
            ["--peers", "a=127.0.0.1:7100,eu/a=127.0.0.1:7200", "--node", "a"],
            "node a: expected a name for one node only",
        ),
        (["--config", "x.toml", "--peers", "a=127.0.0.1:7100"], "leave out --peers and --region"),
        (["--config", "/nowhere/x.toml"], "/nowhere/x.toml: expected a file to read: No such file or directory"),
    ],
)
def test_a_command_line_that_can_not_be_meant_is_one_sentence(arguments, sentence, capsys):
    assert serve.main(arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("syncstore: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cluster = ", "expected TOML: Invalid value (at end of document)"),
        (b"cluster = '\xff'", "expected TOML: 'utf-8' codec can't decode"),
        ("", "expected a region, as [regions.sg] with nodes as"),
        (
            GOOD + "[region.x]",
            'expected cluster, node, data, listen, insecure, regions, dial, tls, limits, found "region"',
        ),
        ("regions = 3", "regions: expected a table, found 3"),
        ("[regions]\nsg = 'a:1'", 'regions.sg: expected nodes as name = "host:port", found "a:1"'),
        ("[regions.sg]", 'regions.sg: expected nodes as name = "host:port", found "none"'),
        (
            "[regions.sg]\nsg-1 = 7100",
            'regions.sg.sg-1: expected "host:port", or a table of peer, wan, client and http',
        ),
        ("[regions.sg]\nsg-1 = '7100'", 'regions.sg.sg-1: expected an address as host:port, found "7100"'),
        ("[regions.sg]\nsg-1 = 'h:0'", 'regions.sg.sg-1: expected an address as host:port, found "h:0"'),
        ("[regions.sg.sg-1]\npeer = '127.0.0.1:1'", "regions.sg.sg-1: expected peer, wan and client, found no wan"),
        ("[regions.sg.sg-1]\nfeer = '127.0.0.1:1'", 'regions.sg.sg-1: expected peer, wan, client, http, found "feer"'),
        (GOOD.replace("7202", "x"), 'regions.eu.eu-1.wan: expected an address as host:port, found "127.0.0.1:x"'),
        (GOOD.replace('"127.0.0.1:7202"', "7"), "regions.eu.eu-1.wan: expected a text, found 7"),
        (GOOD.replace("7202", "7201"), "127.0.0.1:7201: expected one use, found eu-1's peer and eu-1's wan"),
        ("cluster = 5\n" + GOOD.replace('cluster = "c"', ""), "cluster: expected a text, found 5"),
        ("insecure = 'yes'\n" + GOOD, 'insecure: expected true or false, found "yes"'),
        ("node = 'sg-9'\n" + GOOD, 'say which node this is: --node with one of sg-1, sg-2, eu-1, found "sg-9"'),
        (
            GOOD.replace("sg-2", "eu-1"),
            "node eu-1: expected a name for one node only, found it in more than one region",
        ),
        (GOOD + "[dial]\neu-1 = 'h:1'", "dial.eu-1: expected a region that dials, one of sg, eu"),
        (GOOD + "[dial]\nsg = 1", "dial.sg: expected a table, found 1"),
        (GOOD + "[dial.sg]\neu-1 = 'h'", 'dial.sg.eu-1: expected an address as host:port, found "h"'),
        (GOOD + "[dial.sg]\neu-7 = 'h:1'", 'dial: expected one of the nodes sg-1, sg-2, eu-1, found "eu-7"'),
        (GOOD + "[dial.sg]\nsg-1 = 'h:1'", "dial: expected other nodes, found sg-1 itself"),
        (GOOD + "[tls]\nca = 'x'\nkey = 'y'", "tls: expected ca, certificate and key, found no certificate"),
        (GOOD + "[tls]\nca = 1", "tls: expected ca, certificate and key, found no certificate"),
        (GOOD + "[tls]\ncerts = 'x'", 'tls: expected ca, certificate, key, found "certs"'),
        (GOOD + "[limits]\nslowness = 1", 'found "slowness"'),
        (GOOD + "[limits]\nbeacon_ms = 0", "limits.beacon_ms: expected a number above 0, found 0"),
        (GOOD + "[limits]\nbeacon_ms = true", "limits.beacon_ms: expected a number above 0, found True"),
        (GOOD + "[limits]\nbeacon_ms = nan", "limits.beacon_ms: expected a number above 0, found nan"),
        (GOOD + "[limits]\nring_bytes = 1.5", "limits.ring_bytes: expected a whole number, found 1.5"),
        (GOOD.replace("127.0.0.1:7100", "10.0.0.9:7100"), "expected TLS to listen at 10.0.0.9:7101"),
    ],
)
def test_a_file_that_can_not_be_meant_is_one_sentence(tmp_path, text, sentence, capsys):
    path = tmp_path / "c.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    named = isinstance(text, str) and text.startswith(
        ("node =", "[regions.sg]", "[regions.sg.", "regions", "[regions]")
    )
    assert serve.main(["--config", str(path), *([] if named or not text else ["--node", "sg-1"])]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_file_that_is_meant(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        "data = '{region}-{node}'\nnode = 'eu-1'\nlisten = '127.0.0.1'\n" + GOOD + "[limits]\nbeacon_ms = 7.5\n"
    )
    found = chosen("--config", str(path))
    assert found.data == tmp_path / "eu-eu-1"
    assert found.listened == Addresses(*(Address("127.0.0.1", port) for port in (7201, 7202, 7200)))
    assert found.limits.beacon_ms == 7.5
    assert chosen("--config", str(path), "--node", "sg-2", "--data", "/elsewhere").data == Path("/elsewhere")
    assert settings_file.nodes_of(path) == [("sg", "sg-1"), ("sg", "sg-2"), ("eu", "eu-1")]


@pytest.mark.parametrize(
    "text",
    ["h", "h:", ":1", "h:0", "h:65536", "h:-1", "h:+1", "h:１", "::1:7", "[h]:1", "[::1:7", "a b:1", "h:1/x", ""],
)
def test_what_is_no_address(text):
    with pytest.raises(Refused, match="expected an address as host:port"):
        address(text)


def test_addresses_read_as_they_are_written():
    for text in ("localhost:1", "127.0.0.1:65535", "[::1]:7100", "a.example:80"):
        assert str(address(text)) == text


def test_which_addresses_are_this_machine_alone():
    hosts = ("localhost", "127.9.9.9", "[::1]", "0.0.0.0", "[::]", "h")
    assert [address(f"{host}:1").is_loopback for host in hosts] == [True] * 3 + [False] * 3


# -- what a start costs --------------------------------------------------------------------------------


def test_a_node_imports_only_what_it_needs():
    """No typer, prometheus, trustme, nor anything of the lab; and little time."""
    code = """
import resource, sys
import lab.syncstore.node.serve, lab.syncstore.engine, lab.syncstore.log
used = resource.getrusage(resource.RUSAGE_SELF)
print(" ".join(sorted(sys.modules)))
print(used.ru_utime + used.ru_stime)
"""
    seconds = []
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert ended.returncode == 0, ended.stderr
        names, took = ended.stdout.splitlines()
        seconds.append(float(took))
    modules = names.split()
    heavy = {
        "typer",
        "click",
        "rich",
        "prometheus_client",
        "trustme",
        "cryptography",
        "tomllib",
        "aiohttp",
        "urllib.request",
    }
    assert not heavy & set(modules)
    foreign = [one for one in modules if one.startswith("lab.") and not one.startswith("lab.syncstore")]
    assert not foreign
    assert min(seconds) < 0.4, f"expected about 0.1 CPU-seconds, found {min(seconds):.2f}"


def test_no_command_imports_more_than_it_uses():
    code = "import sys; from lab.syncstore.commands import app, data, operate; print(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    modules = set(ended.stdout.split())
    assert not modules & {"prometheus_client", "trustme", "uvloop", "lab.syncstore.engine", "lab.syncstore.node.node"}


# -- the commands ----------------------------------------------------------------------------------------


class Ended(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


@pytest.fixture
def syncstore(capfdbinary, monkeypatch):
    """Runs a command in this process: another one would take longer to start than to run."""

    def call(*arguments: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = app.main(list(arguments))
        sys.stdout.flush()
        return Ended(code, *capfdbinary.readouterr())

    return call


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    node = region(tmp_path_factory.mktemp("node"), "a")[0]
    with running(node):
        yield node.url
        node.signal(signal.SIGTERM)
        assert node.end() == 0, node.said
    assert "has stopped" in node.said
    assert "hello" not in node.said, "no values in lines"


def test_put_get_keys_delete(syncstore, url):
    written = syncstore("put", "rooms", "sg/1", "hello", "--url", url)
    assert (written.returncode, written.stderr) == (0, b"")
    assert syncstore("get", "rooms", "sg/1", "--url", url).stdout == b"hello"
    assert syncstore("get", "global/lww/rooms", "sg/1", "--url", url).stdout == b"hello"
    told = json.loads(syncstore("get", "rooms", "sg/1", "--json", "--url", url).stdout)
    assert told == {
        "key": "sg/1",
        "value": "hello",
        "revision": written.stdout.decode().strip(),
        "degraded": False,
        "expires": 0,
    }
    assert syncstore("put", "rooms", "sg/2", "-", "--url", url, stdin=b"\xff\0raw").returncode == 0
    assert syncstore("get", "rooms", "sg/2", "--url", url).stdout == b"\xff\0raw"
    told = json.loads(syncstore("get", "rooms", "sg/2", "--json", "--url", url).stdout)
    assert told["value_base64"] == "/wByYXc="
    assert syncstore("keys", "rooms", "--url", url).stdout == b"sg/1\nsg/2\n"
    assert json.loads(syncstore("keys", "rooms", "sg/2", "--json", "--url", url).stdout) == ["sg/2"]
    assert syncstore("delete", "rooms", "sg/1", "--url", url).returncode == 0
    gone = syncstore("get", "rooms", "sg/1", "--url", url)
    assert (gone.returncode, gone.stdout) == (4, b"")
    assert gone.stderr == b"syncstore: there is no key sg/1 in rooms\n"
    assert json.loads(syncstore("get", "rooms", "sg/1", "--json", "--url", url).stdout)["value"] is None


def test_the_url_may_come_from_the_environment(syncstore, url, monkeypatch):
    monkeypatch.setenv("SYNCSTORE_URL", f"syncstore://127.0.0.1:1,{url}")
    assert syncstore("put", "b", "k", "v").returncode == 0


def test_watch_prints_lines(syncstore, url):
    syncstore("put", "watched", "a\x1b[31m", "1", "--url", url)
    snapshot = syncstore("watch", "watched", "--snapshot", "--url", url)
    assert snapshot.stdout == b"put a\\x1b[31m 1\n", "and nothing that a terminal obeys"
    command = [sys.executable, "-m", "lab.syncstore", "watch", "watched", "--json", "--url", url]
    watching = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(watching.stdout.readline())["key"] == "a\x1b[31m"
        assert json.loads(watching.stdout.readline()) == {"kind": "snapshot_end"}
        syncstore("delete", "watched", "a\x1b[31m", "--url", url)
        told = json.loads(watching.stdout.readline())
        assert (told["kind"], told["value"]) == ("delete", None)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()


def test_status_and_regions(syncstore, url):
    told = json.loads(syncstore("status", "--json", "--url", url).stdout)
    assert (told["node"], told["ready"]) == ("a", True)
    assert syncstore("drain", "local", "--url", url).stdout == b"local is draining\n"
    assert "region local: draining" in syncstore("status", "--url", url).stdout.decode()
    assert syncstore("drain", "local", "--undo", "--url", url).returncode == 0
    assert "region local: serving" in syncstore("status", "--url", url).stdout.decode()
    asked = syncstore("evict", "local", "--url", url)
    assert (asked.returncode, asked.stderr) == (2, b"syncstore: Refused: nobody is there to be asked: say --yes\n")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["get", "rooms", "a", "--url", "http://x"], 2, "Refused: expected a node as syncstore://host:port"),
        (["get", "rooms", ""], 2, "Refused: expected a key"),
        (["get", "region/what/rooms", "a"], 2, "Refused: expected a bucket as region|global/lww|register/name"),
        (["put", "rooms", "a", "b", "--ttl", "-1"], 2, "Refused: expected a ttl in seconds above 0"),
        (["put", "rooms", "a", "b", "--revision", "x"], 2, "Refused: expected a revision"),
        (["put", "rooms", "a", "b", "--revision", "x", "--create"], 2, "say --create or --revision"),
        (["put", "rooms", "k" * 513, "v"], 3, "TooLarge: a key of 513 bytes is above 512"),
        (["put", "rooms", "a", "b", "--create"], 3, "WrongKind: create needs a bucket of kind register"),
        (["drain", "atlantis"], 2, "no such region"),
        (["frobnicate"], 2, "No such command"),
        (["get", "rooms"], 2, "Missing argument"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_code(syncstore, url, arguments, code, sentence):
    given = arguments if "--url" in arguments or arguments[0] == "frobnicate" else [*arguments, "--url", url]
    ended = syncstore(*given)
    assert sentence in ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (code, b"")
    assert b"Traceback" not in ended.stderr


def test_nobody_there(syncstore, tmp_path):
    nobody = f"syncstore://127.0.0.1:{free_ports(1)[0]}"
    ended = syncstore("put", "rooms", "a", "b", "--url", nobody, "--timeout", "0.3")
    assert ended.returncode == 3
    assert b"Unavailable" in ended.stderr


def test_a_port_that_is_taken_is_refused(url, tmp_path):
    port = url.rpartition(":")[2]
    taken = Process(tmp_path, int(port), "--peers", f"a=127.0.0.1:{port}")
    taken.start()
    assert taken.end() == 3
    assert f"can't listen at 127.0.0.1:{int(port) + 3} for http: another process listens there" in taken.said
    assert "Traceback" not in taken.said


def test_certificates_serve_a_node_and_its_clients(syncstore, tmp_path):
    made = syncstore("certs", str(tmp_path / "certs"), "--region", "sg", "--node", "a", "--json")
    assert len(json.loads(made.stdout)) == 8
    assert b"PRIVATE" not in made.stdout + made.stderr
    port = free_ports(4)[0]
    node = Process(tmp_path, port, "--region", "sg", "--peers", f"a=127.0.0.1:{port}", "--tls", "certs")
    url = node.url
    with running(node):
        tls = str(tmp_path / "certs")
        assert syncstore("put", "b", "k", "v", "--url", url, "--tls", tls).returncode == 0
        assert syncstore("get", "b", "k", "--url", url, "--tls", tls).stdout == b"v"
        assert syncstore("drain", "sg", "--url", url, "--tls", tls).returncode == 0
        plain = syncstore("get", "b", "k", "--url", url, "--timeout", "1")
        assert plain.returncode == 3
        (tmp_path / "certs" / "admin.pem").write_bytes((tmp_path / "certs" / "client.pem").read_bytes())
        (tmp_path / "certs" / "admin.key").write_bytes((tmp_path / "certs" / "client.key").read_bytes())
        denied = syncstore("drain", "sg", "--url", url, "--tls", tls)
        assert (denied.returncode, b"Denied" in denied.stderr) == (3, True)
        node.signal(signal.SIGTERM)
        assert node.end() == 0
    assert "PRIVATE" not in node.said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say which nodes: --config FILE, or --node region/name"),
        (["--node", "a"], 'expected region/name, or a name with --region, found "a"'),
        (["--node", "s g/a"], "expected region/name"),
        (["--node", "../a"], "expected region/name"),
        (["--config", "/nowhere"], "/nowhere: expected a file to read"),
    ],
)
def test_certificates_of_whom(syncstore, tmp_path, arguments, sentence):
    ended = syncstore("certs", str(tmp_path / "certs"), *arguments)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert sentence in ended.stderr.decode()
    assert not (tmp_path / "certs").exists()
