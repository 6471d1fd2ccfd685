"""A node's settings from a TOML file, see `example`. Every mistake is one sentence with its place.

Owns the file's shape. What the settings mean together is checked by `settings`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lab.syncstore.config import Limits
from lab.syncstore.errors import Refused
from lab.syncstore.node import settings
from lab.syncstore.node.addresses import Address, Addresses, address, addresses
from lab.syncstore.node.settings import Settings
from lab.syncstore.security import TlsFiles

T = TypeVar("T")
_KEYS = ("cluster", "node", "data", "listen", "insecure", "regions", "dial", "tls", "limits")
_TLS = ("ca", "certificate", "key")
_DATA = "syncstore-data/{node}"


def read(path: Path, node: str = "") -> Settings:
    """The settings of one node, checked, but for what a command line may still change: call `check`.
    Raises Refused."""
    return _in_file(path, lambda table: _settings(table, path.parent, node))


def nodes_of(path: Path) -> list[tuple[str, str]]:
    """(region, node) of all. Raises Refused."""
    return _in_file(path, lambda table: [(region, node) for region, nodes in _regions(table).items() for node in nodes])


def _in_file(path: Path, read: Callable[[dict[str, Any]], T]) -> T:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refused(f"{path}: expected a file to read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: expected TOML: {error}") from None
    try:
        return read(table)
    except Refused as refused:
        raise Refused(f"{path}: {refused}") from None


def _settings(table: dict[str, Any], directory: Path, node: str) -> Settings:
    _known(table, _KEYS, "")
    regions = _regions(table)
    region, node = settings.node_of(regions, node or _text(table, "node", "", ""))
    fill = {"node": node, "region": region}
    return Settings(
        cluster=_text(table, "cluster", "", settings.CLUSTER),
        region=region,
        node=node,
        regions=regions,
        data=directory / _filled(_text(table, "data", "", _DATA), fill),
        dial=_dial(_table(table, "dial", ""), regions, region),
        listen=_text(table, "listen", "", ""),
        tls=_tls(table, directory, fill),
        insecure=_yes(table, "insecure"),
        limits=_limits(_table(table, "limits", "")),
    )


def _regions(table: dict[str, Any]) -> dict[str, dict[str, Addresses]]:
    found: dict[str, dict[str, Addresses]] = {}
    for region, nodes in _table(table, "regions", "").items():
        place = f"regions.{region}"
        if not isinstance(nodes, dict) or not nodes:
            raise Refused(f'{place}: expected nodes as name = "host:port", found {_shown(nodes or "none")}')
        found[region] = {node: _addresses(where, f"{place}.{node}") for node, where in nodes.items()}
    if not found:
        raise Refused('expected a region, as [regions.sg] with nodes as sg-1 = "host:port", found none')
    return found


def _addresses(where: Any, place: str) -> Addresses:
    if isinstance(where, str):
        return _placed(place, lambda: addresses(where))
    if not isinstance(where, dict):
        raise Refused(f'{place}: expected "host:port", or a table of peer, wan, client and http, found {_shown(where)}')
    _known(where, Addresses._fields, place)
    for purpose in Addresses._fields[:3]:
        if purpose not in where:
            raise Refused(f"{place}: expected peer, wan and client, found no {purpose}")
    return Addresses(**{purpose: _address(where, purpose, place) for purpose in where})


def _address(table: Mapping[str, Any], key: str, place: str) -> Address:
    return _placed(f"{place}.{key}", lambda: address(_text(table, key, place, "")))


def _dial(table: dict[str, Any], regions: Mapping[str, Any], region: str) -> dict[str, Address]:
    for of in table:
        if of not in regions:
            raise Refused(f'dial.{of}: expected a region that dials, one of {", ".join(regions)}, found "{of}"')
    own = _table(table, region, "dial")
    return {node: _address(own, node, f"dial.{region}") for node in own}


def _tls(table: dict[str, Any], directory: Path, fill: dict[str, str]) -> TlsFiles | None:
    if "tls" not in table:
        return None
    given = _table(table, "tls", "")
    _known(given, _TLS, "tls")
    for key in _TLS:
        if key not in given:
            raise Refused(f"tls: expected ca, certificate and key, found no {key}")
    return TlsFiles(*(directory / _filled(_text(given, key, "tls", ""), fill) for key in _TLS))


def _limits(given: dict[str, Any]) -> Limits:
    known = {field.name: field.type for field in dataclasses.fields(Limits)}
    _known(given, tuple(known), "limits")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
            raise Refused(f"limits.{name}: expected a number above 0, found {_shown(value)}")
        if known[name] == "int" and not isinstance(value, int):
            raise Refused(f"limits.{name}: expected a whole number, found {_shown(value)}")
    return Limits(**given)


def _known(table: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in keys:
            raise Refused(f'{place or "it"}: expected {", ".join(keys)}, found "{key}"')


def _table(table: Mapping[str, Any], key: str, place: str) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise Refused(f"{_joined(place, key)}: expected a table, found {_shown(value)}")
    return value


def _text(table: Mapping[str, Any], key: str, place: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise Refused(f"{_joined(place, key)}: expected a text, found {_shown(value)}")
    return value


def _yes(table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key}: expected true or false, found {_shown(value)}")
    return value


def _filled(text: str, fill: dict[str, str]) -> str:
    for name, value in fill.items():
        text = text.replace("{" + name + "}", value)
    return text


def _placed(place: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except Refused as refused:
        text = str(refused)
        raise Refused(text if text.startswith(place) else f"{place}: {text}") from None


def _joined(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _shown(value: Any) -> str:
    return f'"{value[:100]}"' if isinstance(value, str) else str(value)[:100]
