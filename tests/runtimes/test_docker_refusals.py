"""Where no engine of this machine answers: one sentence, exit code 12, and `auto` is `process`."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from lab import machine, plan
from lab.errors import EXIT_REFUSED, DoesNotFit
from lab.runtimes.docker import engine

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2375", "ssh://me@there", "http://there:2375"])
def test_a_remote_engine_is_refused(monkeypatch: Patch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(
        DoesNotFit, match=r"^DOCKER_HOST names a remote engine .*one clock.*RUNTIME=process\.$"
    ) as found:
        engine.connected()
    assert "10.0.0.1" not in str(found.value) and "me@" not in str(found.value)
    assert not engine.answers()


def test_no_socket(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DoesNotFit, match=r"^no container engine answers \(there is no socket\).*`docker info`"):
        engine.connected()


def test_no_socket_anywhere_is_seen_without_asking(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(engine, "SOCKETS", (str(tmp_path / "one.sock"), "${NO_SUCH_VARIABLE}/docker.sock"))
    monkeypatch.setattr(engine, "connected", lambda: pytest.fail("asked"))
    assert not engine.answers()


def test_a_socket_where_nobody_listens(monkeypatch: Patch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "d.sock"))
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(engine, "SOCKETS", (str(tmp_path / "d.sock"),))
    with pytest.raises(DoesNotFit, match="its socket is there, and nobody listens"):
        engine.connected()


def test_one_that_hangs_is_given_up(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "ANSWER_WITHIN_S", 0.3)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "d.sock"))
        mute.listen(8)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
        with pytest.raises(DoesNotFit, match=r"no container engine answers \(no answer in time\)"):
            engine.connected()


def test_no_permission(monkeypatch: Patch, tmp_path: Path) -> None:
    if os.getuid() == 0:
        assert "permission denied" in engine.why(PermissionError(13, "Permission denied"))
        assert "usermod -aG docker" in str(engine._silent("permission denied on its socket"))
        return
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "d.sock"))
        closed.listen(1)
        (tmp_path / "d.sock").chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
        with pytest.raises(DoesNotFit, match=r"permission denied on its socket.*usermod -aG docker"):
            engine.connected()


def test_an_error_of_an_engine_is_not_the_users(monkeypatch: Patch, tmp_path: Path) -> None:
    """Something else listens there."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "d.sock"))
        other.listen(8)

        def answer() -> None:
            connection, _ = other.accept()
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 500 no\r\nContent-Length: 3\r\n\r\nno.")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
        with pytest.raises(DoesNotFit, match="no container engine answers"):
            engine.connected()


def test_the_plan_refuses_docker_and_auto_takes_processes(monkeypatch: Patch) -> None:
    with pytest.raises(DoesNotFit, match="no container engine answers") as found:
        plan.make("gray-region", arm="jetstream-stretched", runtime="docker")
    assert found.value.exit_code == EXIT_REFUSED
    assert plan.make("gray-region", arm="jetstream-stretched").runtime == "process"
    monkeypatch.setattr(engine, "answers", lambda: True)
    assert plan.make("gray-region", arm="jetstream-stretched").runtime == "docker"


def test_doctor_tells_which_engine_answers(monkeypatch: Patch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(engine, "SOCKETS", ())
    found = machine.engine()
    assert (found.state, found.found) == ("fine", "none on this machine: RUNTIME=auto means process")
    monkeypatch.setattr(engine, "version", lambda: "Docker 1.2.3 on Here, overlay2")
    assert machine.engine().found == "Docker 1.2.3 on Here, overlay2: RUNTIME=auto means docker"
