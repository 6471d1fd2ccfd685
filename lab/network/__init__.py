"""What carries and impairs links. Toxiproxy is the only way there is."""

NETWORKS = {"toxiproxy": "lab.network.toxiproxy.proxies:ToxiproxyNetwork"}
