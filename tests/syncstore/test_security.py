"""Mutual TLS over real sockets: who gets in, who doesn't, and what keys look like on a disk."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from lab.syncstore import security, wire
from lab.syncstore.errors import Refused
from lab.syncstore.node import transport
from lab.syncstore.security import Identity, TlsFiles, identity, make_certificates
from tests.syncstore.nodes import Plain, free_addresses, get, run, served, settings, until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certs")
    make_certificates(directory, [("sg", "sg-1"), ("sg", "sg-2"), ("eu", "eu-1")])
    return directory


@pytest.fixture
def chosen(tmp_path: Path, certificates: Path):
    return settings(tmp_path, tls=TlsFiles.of(certificates, "sg-1"))


def context(certificates: Path, name: str) -> ssl.SSLContext:
    return security.client_context(TlsFiles.of(certificates, name))


@pytest.mark.parametrize(
    ("name", "purpose", "roles", "named"),
    [
        ("client", "client", {"client"}, "client"),
        ("admin", "client", {"admin", "client"}, "admin"),
        ("sg-2", "peer", {"peer"}, "sg/sg-2"),
        ("eu-1", "wan", {"peer"}, "eu/eu-1"),
    ],
)
def test_roles_and_names_reach_the_engine(chosen, certificates, name, purpose, roles, named):
    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(getattr(chosen.listened, purpose), context(certificates, name))
            plain.ask(get(1, "a"))
            if purpose != "peer":
                await plain.replies(1)
            await until(lambda: "opened" in one.engine.names())
            opened = one.engine.told[1]
            assert (opened[2], opened[4], opened[5]) == (purpose, frozenset(roles), named)
            plain.close()

    run(work())


@pytest.mark.parametrize(
    ("name", "purpose", "sentence"),
    [
        ("client", "peer", "expected a certificate of a peer, found client"),
        ("admin", "wan", "expected a certificate of a peer, found admin and client"),
        ("sg-2", "client", "expected a certificate of a client or an admin, found peer"),
    ],
)
def test_the_wrong_role_is_told_so_and_ended(chosen, certificates, name, purpose, sentence):
    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(getattr(chosen.listened, purpose), context(certificates, name))
            goodbye = await plain.read()
            assert isinstance(goodbye, wire.Goodbye)
            assert goodbye.why == f"Denied: {sentence}"
            assert await plain.ended() == b""
            assert "opened" not in one.engine.names(), "the engine never heard of it"
            assert one.counts()["denied"] == 1

    run(work())


def _issued(directory: Path, ca: trustme.CA, authority: trustme.CA, **changes) -> ssl.SSLContext:
    """A client's context whose certificate `ca` issued, and which trusts `authority`."""
    leaf = ca.issue_cert("localhost", **{"common_name": "client", "organization_unit_name": "client", **changes})
    leaf.private_key_and_cert_chain_pem.write_to_path(str(directory / "leaf.pem"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    authority.configure_trust(made)
    made.load_cert_chain(directory / "leaf.pem")
    return made


@pytest.mark.parametrize("what", ["no certificate", "wrong CA", "expired", "not yet valid", "no TLS", "old TLS"])
def test_strangers_do_not_get_in(chosen, certificates, tmp_path, what, monkeypatch):
    monkeypatch.setattr("lab.syncstore.node.listen.FIRST_FRAME_S", 1.0)
    ours = trustme.CA.from_pem((certificates / "ca.pem").read_bytes(), (certificates / "ca.key").read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    if what == "no certificate":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        ours.configure_trust(tls)
    elif what == "wrong CA":
        tls = _issued(tmp_path, trustme.CA(), ours)
    elif what == "expired":
        tls = _issued(tmp_path, ours, ours, not_before=now - 9 * day, not_after=now - day)
    elif what == "not yet valid":
        tls = _issued(tmp_path, ours, ours, not_before=now + day)
    elif what == "old TLS":
        tls = context(certificates, "client")
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    else:
        tls = None

    async def work() -> None:
        async with served(chosen) as one:
            with pytest.raises((OSError, AssertionError, EOFError)):
                plain = await Plain.to(chosen.listened.client, tls)
                plain.ask(get(1, "a"))
                await plain.replies(1)
            await until(lambda: one.counts().get("handshake_failed") == 1)
            assert "opened" not in one.engine.names()
            listeners = one.node.connections._listeners
            assert [listener.connections for listener in listeners] == [0, 0, 0], "and its place is free again"
            friend = await Plain.to(chosen.listened.client, context(certificates, "client"))
            friend.ask(get(1, "a"))
            await friend.replies(1)
            friend.close()

    run(work())


def test_a_stranger_who_stops_in_the_handshake_is_ended(chosen, monkeypatch):
    monkeypatch.setattr("lab.syncstore.node.listen.FIRST_FRAME_S", 0.2)

    async def work() -> None:
        async with served(chosen) as one:
            with socket.create_connection(chosen.listened.client) as silent:
                await until(lambda: one.counts().get("handshake_failed") == 1)
                silent.setblocking(True)

    run(work())


def test_nodes_call_each_other_and_notice_the_wrong_one(tmp_path, certificates):
    """eu-1's address leads to sg-2: a proxy that was set up wrongly."""
    at = {name: free_addresses() for name in ("sg-1", "sg-2", "eu-1")}
    regions = {"sg": {"sg-1": at["sg-1"], "sg-2": at["sg-2"]}, "eu": {"eu-1": at["eu-1"]}}

    def of(region: str, node: str, **changes):
        files = TlsFiles.of(certificates, node)
        return settings(tmp_path / node, regions=regions, region=region, node=node, tls=files, **changes)

    async def work() -> None:
        mistaken = of("sg", "sg-1", dial={"eu-1": at["sg-2"].wan})
        async with served(mistaken) as one, served(of("sg", "sg-2")) as two:
            one.engine.outlet.dial("sg-2", "peer")
            await until(lambda: "opened" in one.engine.names() and "opened" in two.engine.names())
            assert one.engine.told[1][2:] == ("peer", "sg-2", frozenset({"peer"}), "sg/sg-2")
            assert two.engine.told[1][2:] == ("peer", "", frozenset({"peer"}), "sg/sg-1")
            one.engine.outlet.dial("eu-1", "wan")
            await until(lambda: ("dial_failed", "eu-1", "wan") in one.engine.told)
            await until(lambda: "expected eu-1 there, found the certificate of sg/sg-2" in one.lines)
            assert one.engine.names().count("opened") == 1

    run(work())


def test_frames_limits_and_slow_readers_are_the_same_with_tls(chosen, certificates, monkeypatch):
    monkeypatch.setattr(transport, "UNSENT_BYTES", 8_000_000)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer, context(certificates, "sg-2"))
            for size in (0, 1, 70_000, 500_000):
                plain.write(b"f" * size or b"e")
            await until(lambda: len(one.engine.bodies) == 4)
            assert [len(body) for _, body in one.engine.bodies] == [1, 1, 70_000, 500_000]
            link = one.engine.told[1][1]
            one.engine.outlet.send(link, b"x" * 900_000)
            one.node.soon()
            assert len(await plain.reader.readexactly(900_004)) == 900_004
            plain.writer.transport.pause_reading()
            most = 0
            for _ in range(100):
                one.engine.outlet.send(link, b"x" * 500_000)
                most = max(most, one.engine.outlet.unsent(link))
                one.node.soon()
                await until(lambda: True)
                if "closed" in one.engine.names():
                    break
            await until(lambda: "closed" in one.engine.names())
            assert one.counts()[f"closed: {transport.SLOW}"] == 1
            assert most > 1_000_000
            plain.close()

    run(work())


def test_files_private_keys_are_their_owners_alone_and_what_is_there_is_kept(tmp_path):
    directory = tmp_path / "certs"
    made = make_certificates(directory, [("sg", "sg-1")])
    names = {path.name for path in made}
    assert names == {f"{one}.{end}" for one in ("sg-1", "client", "admin") for end in ("pem", "key")} | {
        "ca.pem",
        "ca.key",
    }
    for path in made:
        assert path.stat().st_mode & 0o777 == (0o600 if path.suffix == ".key" else path.stat().st_mode & 0o777)
        assert (b"PRIVATE KEY" in path.read_bytes()) == (path.suffix == ".key")
    before = {path: path.read_bytes() for path in made}
    added = make_certificates(directory, [("sg", "sg-1"), ("eu", "eu-1")])
    assert {path.name for path in added} == {"eu-1.pem", "eu-1.key"}
    assert all(path.read_bytes() == content for path, content in before.items())
    (directory / "ca.key").unlink()
    with pytest.raises(Refused, match="expected both"):
        make_certificates(directory, [("eu", "eu-2")])
    (directory / "ca.key").write_text("nonsense")
    with pytest.raises(Refused, match="expected a CA"):
        make_certificates(directory, [("eu", "eu-2")])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: (d / "ca.pem").unlink(), "ca.pem: expected a CA to read; make a test's with `syncstore certs`"),
        (lambda d: (d / "sg-1.key").unlink(), "sg-1.key: expected a private key to read"),
        (lambda d: (d / "ca.pem").write_text("nonsense"), "ca.pem: expected a CA's certificate, found something else"),
        (lambda d: (d / "ca.pem").write_text(""), "ca.pem: expected a CA's certificate"),
        (
            lambda d: (d / "sg-1.key").write_bytes((d / "client.key").read_bytes()),
            "sg-1.pem: expected a certificate that belongs to the unencrypted private key sg-1.key",
        ),
        (lambda d: (d / "sg-1.pem").write_text("nonsense"), "sg-1.pem: expected a certificate"),
    ],
)
def test_files_that_can_not_be_used_are_named(tmp_path, change, sentence):
    make_certificates(tmp_path, [("sg", "sg-1")])
    change(tmp_path)
    with pytest.raises(Refused) as caught:
        security.server_context(TlsFiles.of(tmp_path, "sg-1"))
    assert sentence in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(tmp_path):
    from cryptography.hazmat.primitives import serialization as pem

    make_certificates(tmp_path, [("sg", "sg-1")])
    path = tmp_path / "sg-1.key"
    key = pem.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"password"))
    )
    with pytest.raises(Refused, match="unencrypted"):
        security.server_context(TlsFiles.of(tmp_path, "sg-1"))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (None, Identity(frozenset(), "")),
        ({}, Identity(frozenset(), "")),
        ([("organizationalUnitName", "root")], Identity(frozenset(), "")),
        ([("organizationalUnitName", "peer"), ("commonName", "sg/sg-1")], Identity(frozenset({"peer"}), "sg/sg-1")),
        ([("organizationalUnitName", "admin")], Identity(frozenset({"admin", "client"}), "")),
        ([("organizationalUnitName", "PEER")], Identity(frozenset(), "")),
        ([("organizationName", "peer")], Identity(frozenset(), "")),
        ([("commonName", "sg/sg-1"), ("commonName", "sg/sg-2")], Identity(frozenset(), "")),
    ],
)
def test_who_a_certificate_says_one_is(subject, expected):
    certificate = {"subject": tuple((pair,) for pair in subject)} if subject else subject
    assert identity(certificate) == expected
