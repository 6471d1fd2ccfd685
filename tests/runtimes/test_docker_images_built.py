"""Images on a real engine: built, run, found again, replaced; and nothing of others is touched.

What is built for a test is a program of its own name, and goes with it; NATS', Toxiproxy's and SyncStore's images are
those that runs use, and stay.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import multiprocessing
import shutil
import socket
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from lab import binaries
from lab.errors import BinaryMissing
from lab.programs import cache
from lab.runtimes.docker import building, debian, packages, python_base, registry, stock
from lab.runtimes.docker import engine as engines
from lab.runtimes.docker.images import image_of, platform_of
from lab.runtimes.docker.stock import IMAGE, Recipe

pytestmark = pytest.mark.docker
BUILT_S, STORE = 120.0, ("-m", "lab.syncstore")


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = engines.connected()
    yield client
    client.close()


@pytest.fixture
def program(engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a program that no other test builds; its images are removed at the end. Notes and locks are the
    test's own, and nothing is spared for having been told of."""
    monkeypatch.setattr(cache, "root", lambda: tmp_path / "bin")
    monkeypatch.setattr(stock, "SPARED_S", 0.0)
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for one in images_of(engine, name):
        engine.images.remove(one, force=True)


def silent(sentence: str) -> None:
    """Nothing is said."""


def recipe(program: str, content: str, folder: Path) -> Recipe:
    """An image that holds one file."""
    text = "FROM scratch\nCOPY it /it\n"
    file = folder / f"it-{content}"
    file.write_text(content, encoding="utf-8")

    def make(engine: docker.DockerClient, this: Recipe, say: Any) -> None:
        with (folder / "built").open("a") as built:
            built.write(f"{content}\n")
        building.build(engine, this, text, {"it": file})

    return Recipe(program, "1", {"Dockerfile": text, "it": content}, {"it": content}, make)


def images_of(engine: docker.DockerClient, program: str) -> list[str]:
    return [one["Id"] for one in engine.api.images(filters={"label": [f"{IMAGE}={program}"]})]


def dangling(engine: docker.DockerClient) -> set[str]:
    return {one["Id"] for one in engine.api.images(filters={"dangling": True})}


def said_by(engine: docker.DockerClient, image: str, *arguments: str, **options: Any) -> str:
    return engine.containers.run(  # type: ignore[no-any-return]
        image, list(arguments), remove=True, stderr=True, network_mode="none", **options
    ).decode()


# -- the programs that runs use ------------------------------------------------------------------


def test_natss_image_is_the_file_of_the_process_runtime_and_runs_as_nobody(engine: docker.DockerClient) -> None:
    image = image_of(engine, "nats-server", "", silent)
    found = binaries.find("nats-server", platform=platform_of(engine))
    assert image.sha256 == {"nats-server": found.sha256} and image.version == found.version
    assert said_by(engine, image.reference, "--version").strip() == f"nats-server: v{found.version}"
    assert not image.has_tools
    config = engine.images.get(image.id).attrs["Config"]
    assert (config["User"], config["WorkingDir"]) == ("65534:65534", "/data")


def test_natss_image_can_write_its_folder(engine: docker.DockerClient) -> None:
    image = image_of(engine, "nats-server", "", silent)
    container = engine.containers.run(
        image.reference, ["-js", "-sd", "/data"], detach=True, network_mode="none", labels={IMAGE: "test"}
    )
    try:
        until_s = time.monotonic() + 60
        while b"Server is ready" not in (said := container.logs()) and time.monotonic() < until_s:
            time.sleep(0.1)
        assert b"Server is ready" in said and b"/data/jetstream" in said, said
    finally:
        container.remove(force=True)


def test_toxiproxys_image_holds_the_tool_of_its_version(engine: docker.DockerClient) -> None:
    image = image_of(engine, "toxiproxy-server", "", silent)
    assert set(image.sha256) == {"toxiproxy-server", "toxiproxy-cli"} and image.has_tools
    assert "toxiproxy" in said_by(engine, image.reference, "--help", entrypoint="/toxiproxy-cli").lower()
    assert "-host" in said_by(engine, image.reference, "-help")


def test_a_warm_image_costs_nothing(engine: docker.DockerClient) -> None:
    first, said, times_s = image_of(engine, "nats-server", "", silent), list[str](), []
    for _ in range(5):
        begun_s = time.monotonic()
        assert image_of(engine, "nats-server", "", said.append) == first
        times_s.append(time.monotonic() - begun_s)
    assert said == []
    assert min(times_s) < 1.0  # 0.03 measured; a busy machine is no failure


# -- their life ----------------------------------------------------------------------------------


def test_changed_content_replaces_the_image_and_leaves_nothing(
    engine: docker.DockerClient, program: str, tmp_path: Path
) -> None:
    before = dangling(engine)
    old = stock.had(engine, recipe(program, "a", tmp_path), silent)
    assert stock.had(engine, recipe(program, "a", tmp_path), silent) == old
    new = stock.had(engine, recipe(program, "b", tmp_path), silent)
    assert new != old
    assert images_of(engine, program) == [new]
    assert (tmp_path / "built").read_text().split() == ["a", "b"]
    ours = {one for one in dangling(engine) - before if engine.images.get(one).labels.get(IMAGE) == program}
    assert ours == set()


def test_an_image_in_use_and_one_with_a_users_name_stay(
    engine: docker.DockerClient, program: str, tmp_path: Path
) -> None:
    used = stock.had(engine, recipe(program, "a", tmp_path), silent)
    container = engine.containers.create(used, ["/it"], labels={IMAGE: program})
    try:
        new = stock.had(engine, recipe(program, "b", tmp_path), silent)
        engine.images.get(new).tag(f"kept-by-user/{program}", "mine")
        stock.had(engine, recipe(program, "c", tmp_path), silent)
        assert engine.images.get(used).tags == [recipe(program, "a", tmp_path).reference]
        assert engine.images.get(f"kept-by-user/{program}:mine").id == new
    finally:
        container.remove(force=True)
    stock.had(engine, recipe(program, "d", tmp_path), silent)
    with pytest.raises(ImageNotFound):
        engine.images.get(used)


def test_a_strangers_image_beside_ours_stays(engine: docker.DockerClient, program: str, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(f"foreign-{program}"))
    foreign = f"{stock.REPOSITORY}/{program}"
    engine.api.import_image_from_data(archive.getvalue(), repository=foreign, tag="theirs")
    try:
        for content in ("a", "b"):
            stock.had(engine, recipe(program, content, tmp_path), silent)
        assert engine.images.get(f"{foreign}:theirs")
    finally:
        engine.images.remove(f"{foreign}:theirs")


def _had(program: str, folder: str, ids: multiprocessing.queues.Queue[str]) -> None:
    """What each of two processes does."""
    cache.root = lambda: Path(folder) / "bin"
    client = engines.connected()
    ids.put(stock.had(client, recipe(program, "a", Path(folder)), silent))


def test_two_processes_at_once_build_once(engine: docker.DockerClient, program: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ids = context.Queue()
    both = [context.Process(target=_had, args=(program, str(tmp_path), ids)) for _ in range(2)]
    for process in both:
        process.start()
    found = [ids.get(timeout=BUILT_S), ids.get(timeout=BUILT_S)]
    for process in both:
        process.join(30)
    assert found[0] == found[1] and images_of(engine, program) == [found[0]]
    assert (tmp_path / "built").read_text().split() == ["a"]


def test_a_build_that_fails_is_a_sentence_and_leaves_no_container(
    engine: docker.DockerClient, program: str, tmp_path: Path
) -> None:
    def make(engine: docker.DockerClient, this: Recipe, say: Any) -> None:
        text = f'FROM scratch\nENV MADE_BY={program}\nCOPY it /it\nRUN ["/it"]\n'
        building.build(engine, this, text, {"it": tmp_path / "it"})

    (tmp_path / "it").write_text("no program")
    with pytest.raises(
        BinaryMissing, match=rf"^the image of {program} 1 can't be built: the container engine says: \w"
    ):
        stock.had(engine, Recipe(program, "1", {}, {}, make), silent)
    assert [one for one in engine.api.containers(all=True) if program in str(one["Labels"])] == []

    def left() -> list[str]:
        found = (engine.images.get(one) for one in dangling(engine))
        return [one.id for one in found if f"MADE_BY={program}" in (one.attrs["Config"]["Env"] or [])]

    assert left(), "the engine keeps what a build has come to"
    stock.had(engine, recipe(program, "a", tmp_path), silent)
    assert left() == [], "the next build removes it"


# -- images by name ------------------------------------------------------------------------------


def test_an_image_of_this_machine_by_its_name(engine: docker.DockerClient, program: str, tmp_path: Path) -> None:
    own = recipe(program, "a", tmp_path)
    built = stock.had(engine, own, silent)
    image = image_of(engine, "nats-server", f"image:{own.reference}", silent)
    assert (image.reference, image.id) == (own.reference, built)
    assert image.sha256 == {"nats-server": built.removeprefix("sha256:")}


def test_a_registry_that_refuses_is_refused_in_a_sentence(engine: docker.DockerClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{closed.getsockname()[1]}/nats:2.10"
        with pytest.raises(BinaryMissing, match=rf"^the image {name} is not on this machine and can't be pulled: the "):
            image_of(engine, "nats-server", f"image:{name}", silent)


def test_a_registry_that_never_answers_is_given_up(engine: docker.DockerClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "ANSWER_WITHIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        name = f"127.0.0.1:{mute.getsockname()[1]}/nats:2.10"
        begun_s = time.monotonic()
        with pytest.raises(BinaryMissing, match="no registry answered within 1 s"):
            image_of(engine, "nats-server", f"image:{name}", silent)
        assert time.monotonic() - begun_s < 15


def layer(text: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        about = tarfile.TarInfo("it")
        about.size = len(text)
        tar.addfile(about, io.BytesIO(text.encode()))
    return archive.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry(BaseHTTPRequestHandler):
    """One image, by the second version of the registries' protocol."""

    parts: dict[str, bytes]
    manifest: bytes

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        kind, body = "application/octet-stream", self.parts.get(last, b"{}")
        if "/manifests/" in self.path:
            kind, body = "application/vnd.docker.distribution.manifest.v2+json", self.manifest
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def test_a_registry_that_answers_is_pulled_from_and_the_digest_recorded(
    engine: docker.DockerClient, program: str
) -> None:
    platform, plain = platform_of(engine), layer(program)
    packed = gzip.compress(plain)
    about = json.dumps(
        {
            "os": "linux",
            "architecture": platform.go["GOARCH"],
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        }
    ).encode()
    kinds = "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
    told = [
        {"mediaType": kind, "size": len(one), "digest": digest(one)}
        for kind, one in zip(kinds, (about, packed), strict=True)
    ]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    Registry.manifest = json.dumps(manifest | {"config": told[0], "layers": told[1:]}).encode()
    Registry.parts = {digest(one): one for one in (about, packed)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name, said = f"127.0.0.1:{server.server_port}/{program}:2.10", list[str]()
    try:
        image = image_of(engine, "nats-server", f"image:{name}", said.append)
        assert image.sha256 == {"nats-server": digest(Registry.manifest).removeprefix("sha256:")}
        assert said == [f"pulling {name}"] and not image.has_tools
        again = list[str]()
        assert image_of(engine, "nats-server", f"image:{name}", again.append) == image and again == []
    finally:
        server.shutdown()
        server.server_close()
        engine.images.remove(name)


# -- SyncStore's ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_stores_image_runs_it_from_compiled_modules_of_its_own(engine: docker.DockerClient) -> None:
    image = image_of(engine, "syncstore", "", silent)
    assert image.sha256 == {"syncstore": binaries.find("syncstore").sha256} and image.has_tools
    assert "cluster" in said_by(engine, image.reference, *STORE, "serve", "--example")
    assert said_by(engine, image.reference, *STORE, "put", "--help").startswith("Usage: syncstore put")
    look = "import lab.syncstore.node.serve as s, os, sys; print(os.getuid(), os.access('.', os.W_OK), s.__cached__)"
    user, writable, compiled = said_by(engine, image.reference, "-c", look).split()
    assert (user, writable) == ("65534", "True")
    there = "import os, sys; print(all(map(os.path.exists, sys.argv[1:])), os.listdir('/opt/syncstore/lab'))"
    assert said_by(engine, image.reference, "-c", there, compiled) == "True ['syncstore']\n"


@pytest.mark.slow
def test_a_changed_store_makes_another_image_and_removes_the_old(
    engine: docker.DockerClient, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a version of its own, so that the image that runs use is left alone."""
    monkeypatch.undo()  # the cache of this user: nothing is downloaded anew
    monkeypatch.setattr(stock, "SPARED_S", 0.0)
    monkeypatch.setattr(binaries, "__version__", program)
    monkeypatch.setattr(binaries, "STORE", tmp_path / "syncstore")
    shutil.copytree(Path(binaries.__file__).parent / "syncstore", tmp_path / "syncstore")
    made: list[str] = []
    try:
        made.append(image_of(engine, "syncstore", program, silent).id)
        with (tmp_path / "syncstore" / "__init__.py").open("a") as file:
            file.write(f"CHANGED = {program!r}\n")
        image = image_of(engine, "syncstore", program, silent)
        made.append(image.id)
        look = "import lab.syncstore; print(lab.syncstore.CHANGED)"
        assert said_by(engine, image.reference, "-c", look).strip() == program
        with pytest.raises(ImageNotFound):
            engine.images.get(made[0])
    finally:
        for one in made:
            if one in images_of(engine, "syncstore"):
                engine.images.remove(one, force=True)


@pytest.mark.slow
def test_a_base_is_made_here_where_no_registry_answers(
    engine: docker.DockerClient, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, under a name of its own: a minute or two."""
    if lacking := debian.lacking(platform_of(engine)):
        pytest.skip(lacking)
    monkeypatch.setattr(debian, "PROGRAM", program)
    monkeypatch.setattr(python_base, "SLIM", "127.0.0.1:9/python:3.11-slim")
    said: list[str] = []
    base = python_base.had(engine, platform_of(engine), said.append)
    assert said[1] == "there is none: a small Debian with Python is made here"
    assert said_by(engine, base.reference, "python3", "-c", "import ssl, sqlite3; print(1)").strip() == "1"
    before = len(said)
    assert python_base.had(engine, platform_of(engine), said.append) == base
    assert len(said) == before
    assert packages.IMPORTED and list((cache.root() / program).rglob("system.tar")) == []
