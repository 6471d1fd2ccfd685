"""The example of a configuration file that `serve --example` prints; a test reads it back."""

TEXT = """\
# SyncStore. One file for every node of every region: say which one you start,
#     python -m lab.syncstore serve --config syncstore.toml --node sg-1

cluster = "example"
data = "data/{node}"              # beside this file; {node} and {region} are filled in

# Every node, whoever is alive: 1 to 5 a region, 3 is normal. An address is the one clients use;
# the next three ports are for peers of the region, for other regions, and for HTTP
# (/metrics /healthz /readyz /status).
[regions.sg]
sg-1 = "127.0.0.1:7100"
sg-2 = "127.0.0.1:7110"
sg-3 = "127.0.0.1:7120"

# ... or each on its own. Without http there is none.
[regions.eu]
eu-1 = { client = "127.0.0.1:7200", peer = "127.0.0.1:7201", wan = "127.0.0.1:7202", http = "127.0.0.1:7203" }

# Where nodes of sg reach a node of another region, when not at its wan address: a proxy, a tunnel.
# [dial.sg]
# eu-1 = "127.0.0.1:9202"

# Beyond this machine, TLS is a must. `python -m lab.syncstore certs certs --config syncstore.toml` makes
# these for a test. listen: the host to listen at, when it isn't the address's own.
# listen = "0.0.0.0"
# [tls]
# ca = "certs/ca.pem"
# certificate = "certs/{node}.pem"
# key = "certs/{node}.key"

# Any of lab/syncstore/config.py's limits.
# [limits]
# degraded_after_ms = 50
"""
