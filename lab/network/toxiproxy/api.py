"""The Toxiproxy API through toxiproxy-python, with what that library lacks.

toxiproxy-python 0.1.1 keeps its address on a class (so: one server per process), sets no
time-outs, follows HTTP_PROXY even for 127.0.0.1, raises nothing on 5xx, and never says what was
added. This file mends exactly that and is the only one that knows the library. Blocking calls;
callers use a thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import requests
import toxiproxy.api
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from lab.errors import NetworkBroken

# Toxiproxy itself can take 25 s to answer when an upstream swallows SYNs; nothing of ours does.
TIMEOUT_S = 5.0


class _LocalSession(requests.Session):
    """Calls to the loopback API: bounded, never through a configured HTTP proxy."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", TIMEOUT_S)
        response = super().request(*args, **kwargs)
        if response.status_code >= 500:
            raise NetworkBroken(f"Toxiproxy answered {response.status_code} to {response.request.path_url}.")
        return response


class _PerThread:
    """What toxiproxy-python uses of requests; a session is not safe to share between threads."""

    def __init__(self) -> None:
        self._local = threading.local()

    def _session(self) -> _LocalSession:
        if not hasattr(self._local, "session"):
            self._local.session = _LocalSession()
        session: _LocalSession = self._local.session
        return session

    def get(self, **kwargs: Any) -> requests.Response:
        return self._session().get(**kwargs)

    def post(self, **kwargs: Any) -> requests.Response:
        return self._session().post(**kwargs)

    def delete(self, **kwargs: Any) -> requests.Response:
        return self._session().delete(**kwargs)


@dataclass(frozen=True)
class Toxic:
    """One toxic of one proxy, as the server states it."""

    proxy: str
    name: str
    type: str
    stream: str
    attributes: tuple[tuple[str, int], ...]


class Api:
    """One Toxiproxy server. Every method raises NetworkBroken when it did not do as told."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        toxiproxy.api.requests = _PerThread()
        self._server = Toxiproxy()
        self._server.update_api_consumer(host, int(port))

    def version(self) -> str:
        """What the server calls itself (`git` when built by `go install`)."""
        response = self._call("asking for its version", toxiproxy.api.APIConsumer.get, "/version")
        return str(response.json()["version"])

    def create(self, name: str, listen: str, upstream: str) -> None:
        """A new proxy, listening at once."""
        proxy = self._call(f"creating {name}", self._server.create, upstream, name, listen=listen, enabled=True)
        if proxy.listen != listen:
            raise NetworkBroken(f"Toxiproxy listens on {proxy.listen} for {name}, expected {listen}.")

    def add(self, toxic: Toxic) -> None:
        """Put a toxic in force."""
        self._call(
            f"adding {toxic.name} to {toxic.proxy}",
            self._proxy(toxic.proxy).add_toxic,
            name=toxic.name,
            type=toxic.type,
            stream=toxic.stream,
            attributes=dict(toxic.attributes),
        )

    def suspend(self, toxic: Toxic) -> None:
        """Make a toxic let everything pass; one that is gone already is fine.

        By its toxicity, since a bandwidth toxic whose rate is changed can panic (it slices what it holds by
        the new rate). toxiproxy-python has no such call.
        """
        path = f"/proxies/{toxic.proxy}/toxics/{toxic.name}"
        try:
            self._call(f"suspending {toxic.name}", toxiproxy.api.APIConsumer.post, path, json={"toxicity": 0})
        except _Gone:
            return

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic away; one that is gone already is fine."""
        try:
            self._call(
                f"removing {toxic.name} from {toxic.proxy}",
                self._proxy(toxic.proxy).destroy_toxic,
                toxic.name,
            )
        except _Gone:
            return

    def enable(self, proxy: str, enabled: bool) -> None:
        """Disabling ends a proxy's connections and refuses new ones."""
        handle = self._proxy(proxy)
        self._call(f"switching {proxy}", handle.enable if enabled else handle.disable)

    def state(self) -> tuple[set[Toxic], set[str]]:
        """(every toxic in force, the names of proxies that are enabled)."""
        proxies = self._call("listing proxies", toxiproxy.api.APIConsumer.get, "/proxies").json()
        toxics = {
            Toxic(name, t["name"], t["type"], t["stream"], tuple(sorted(_numbers(t["attributes"]))))
            for name, proxy in proxies.items()
            for t in proxy["toxics"]
        }
        return toxics, {name for name, proxy in proxies.items() if proxy["enabled"]}

    @staticmethod
    def _proxy(name: str) -> Any:
        return toxiproxy.Proxy(name=name, upstream="", enabled=True, listen="")

    @staticmethod
    def _call(doing: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except NotFound as error:
            raise _Gone(f"Toxiproxy knows no such thing when {doing}: {error}.") from error
        except (InvalidToxic, ProxyExists) as error:
            raise NetworkBroken(f"Toxiproxy refused {doing}: {error}.") from error
        except (requests.RequestException, ValueError) as error:
            raise NetworkBroken(f"Toxiproxy does not answer when {doing}: {type(error).__name__}.") from error


class _Gone(NetworkBroken):
    """404: the proxy or toxic is not there."""


def _numbers(attributes: dict[str, Any]) -> list[tuple[str, int]]:
    """The attributes we set; jitter 0 is Toxiproxy's own default and says nothing."""
    return [(key, int(value)) for key, value in attributes.items() if key != "jitter"]
