"""A running node: the only sockets, timers, threads and tasks around the sans-IO core.

node       Node: gives the engine what happens, in batches, and time for what can wait
├── links       all connections, and what the engine sends    ├── disk       the thread that syncs
│   ├── transport   one connection: frames out of bytes       ├── snapshots  tables to disk, in slices
│   ├── listen      who comes in                              ├── pulse      timers, and how late they are
│   └── dial        who is called                             └── http       /metrics /healthz /readyz /status
serve      the `serve` command: settings (settings, settings_file, addresses), say, signals
"""
