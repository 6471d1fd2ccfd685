"""Mutual TLS: who is at the other end of a connection, and certificates for a test.

A certificate's organizational unit is its *role*: `peer` for nodes, `client`, and `admin`, which is a
client that may also drain and evict. A node's common name is `region/node`. Who a server is, is told
by role and name, not by the host it was reached at: links between regions go through proxies.

Owns contexts, roles, and the files of a test CA. Private keys are read by ssl alone, and never shown.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.syncstore.errors import Refused

if TYPE_CHECKING:
    import trustme

PEER, CLIENT, ADMIN = "peer", "client", "admin"
ROLES = frozenset((PEER, CLIENT, ADMIN))
DAYS = 365
_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: whom to trust, who I am, and my private key."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def of(cls, directory: Path, name: str) -> TlsFiles:
        """As `make_certificates` names them. name: of a node, or client, or admin."""
        return cls(directory / "ca.pem", directory / f"{name}.pem", directory / f"{name}.key")


class Identity(NamedTuple):
    """roles: of ROLES; admin implies client. name: `region/node` of a peer, else what the certificate says."""

    roles: frozenset[str]
    name: str


NOBODY = Identity(frozenset(), "")


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Only certificates of our CA get in. Raises Refused."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def http_context(files: TlsFiles) -> ssl.SSLContext:
    """Without a certificate one gets in, as a probe must; what it may see is `http`'s business. Raises Refused."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Trusts certificates of our CA alone, for any host: look at `identity` next. Raises Refused."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def identity(certificate: Mapping[str, Any] | None) -> Identity:
    """certificate: as `getpeercert` tells it, verified."""
    if not certificate:
        return NOBODY
    fields = [pair for group in certificate.get("subject", ()) for pair in group]
    roles = {value for name, value in fields if name == "organizationalUnitName"} & ROLES
    names = [value for name, value in fields if name == "commonName"]
    return Identity(frozenset(roles | {CLIENT} if ADMIN in roles else roles), names[0] if len(names) == 1 else "")


def identity_of(tls: ssl.SSLObject | ssl.SSLSocket | None) -> Identity:
    """Who is at the other end; NOBODY without TLS."""
    return identity(tls.getpeercert()) if tls is not None else NOBODY


def make_certificates(
    directory: Path, nodes: Iterable[tuple[str, str]], hosts: Iterable[str] = (), days: int = DAYS
) -> list[Path]:
    """A test CA, and a certificate for each (region, node), a client and an admin; the files made.

    What is there is kept: called again, it adds nodes under the same CA. Raises Refused.
    """
    import datetime

    not_after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)  # noqa: UP017
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ca, made = _authority(directory)
        for name, role, common_name in [
            *((node, PEER, f"{region}/{node}") for region, node in nodes),
            (CLIENT, CLIENT, CLIENT),
            (ADMIN, ADMIN, ADMIN),
        ]:
            files = TlsFiles.of(directory, name)
            if files.certificate.exists() and files.key.exists():
                continue
            issued = ca.issue_cert(
                *_HOSTS,
                *hosts,
                common_name=common_name,
                organization_name="SyncStore",
                organization_unit_name=role,
                not_after=not_after,
            )
            chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
            made += [_private(files.key, issued.private_key_pem.bytes()), _public(files.certificate, chain)]
    except OSError as error:
        raise Refused(f"{directory}: certificates can't be written: {error.strerror or error}") from error
    return made


def _authority(directory: Path) -> tuple[trustme.CA, list[Path]]:
    """The directory's CA, made where it is missing, and the files made."""
    import trustme

    certificate, key = directory / "ca.pem", directory / "ca.key"
    if certificate.exists() and key.exists():
        try:
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes()), []
        except ValueError:
            raise Refused(f"{directory}: expected a CA in ca.pem and ca.key, found something else") from None
    if certificate.exists() or key.exists():
        raise Refused(
            f"{directory}: expected both ca.pem and ca.key, or neither; a CA without its key can't issue anything"
        )
    ca = trustme.CA(organization_name="SyncStore", organization_unit_name="test CA")
    return ca, [_private(key, ca.private_key_pem.bytes()), _public(certificate, ca.cert_pem.bytes())]


def _private(path: Path, content: bytes) -> Path:
    """Nobody but its owner may read it, at no moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path


def _public(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    for what, path in (("a CA", files.ca), ("a certificate", files.certificate), ("a private key", files.key)):
        if not os.access(path, os.R_OK):
            raise Refused(f"{path}: expected {what} to read; make a test's with `syncstore certs`")
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(files.ca, "a CA's certificate", lambda: context.load_verify_locations(files.ca))
    _load(
        files.certificate,
        f"a certificate that belongs to the unencrypted private key {files.key.name}",
        lambda: context.load_cert_chain(files.certificate, files.key, password=b""),
    )
    return context


def _load(path: Path, expected: str, load: Any) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError):
        raise Refused(f"{path}: expected {expected}, found something else") from None
    except OSError as error:
        raise Refused(f"{path}: can't be read: {error.strerror or error}") from None
