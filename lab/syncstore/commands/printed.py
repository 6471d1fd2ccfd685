"""How results look on a terminal, and as JSON.

Owns words and shapes only. Nothing that somebody else wrote reaches a terminal as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.syncstore.client import Entry, Event


def told(key: str, entry: Entry | Event) -> dict[str, Any]:
    """A value is `value` where it is a text, else `value_base64`."""
    shown: dict[str, Any] = {"key": key}
    if entry.value is None:
        shown["value"] = None
    else:
        try:
            shown["value"] = entry.value.decode()
        except UnicodeDecodeError:
            import base64

            shown["value_base64"] = base64.b64encode(entry.value).decode()
    return shown | {"revision": entry.revision, "degraded": entry.degraded}


def line(event: Event | None, as_json: bool) -> str:
    """kind, key, value; of JSON, `{"kind": "snapshot_end"}` where the snapshot ends."""
    if as_json:
        shown = {"kind": "snapshot_end"} if event is None else {"kind": event.kind} | told(event.key, event)
        return json.dumps(shown, ensure_ascii=False)
    if event is None:
        return "-- that is all there was; changes follow"
    value = "" if event.value is None else f" {plain(event.value.decode(errors='backslashreplace'))}"
    return f"{event.kind} {plain(event.key)}{value}"


def summary(status: dict[str, Any]) -> list[str]:
    lines = [f"{status.get('region')}/{status.get('node')}: {'ready' if status.get('ready') else 'not ready'}"]
    lines += [f"  region {region}: {state}" for region, state in status.get("regions", {}).items()]
    for scope, one in status.get("scopes", {}).items():
        lines.append(f"  {scope}: {one.get('records')} keys, {one.get('tombstones')} of them tombstones")
    for peer in status.get("peers", []):
        behind, ahead = (sum(peer.get(name, {}).values()) for name in ("behind_us", "ahead_of_us"))
        lines.append(f"  {peer.get('purpose')} {peer.get('node')}: {behind} writes behind us, {ahead} ahead of us")
    alarms = status.get("alarms", [])
    return [plain(line) for line in [*lines, *(f"  ALARM {one}" for one in alarms or [])]]


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """Nothing that a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
