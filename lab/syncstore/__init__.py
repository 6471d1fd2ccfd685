"""SyncStore: a replicated key-value store whose regions never wait for each other.

Imports nothing of the lab: it could be a package of its own. Its core is sans-IO (no clock, socket,
task, random or file inside); `log`, `node/`, `client/`, `security`, `metrics` and `simulate/` are not.
"""

__version__ = "0.1.0"
