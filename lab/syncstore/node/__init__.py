"""A running node: the only sockets, timers, threads and tasks around the sans-IO core.

serve      the `serve` command: options, signals, exit codes
├── settings        who, where: from options, or from a file (settings_file, example; addresses)
└── running         a node put together, started and stopped in order
    ├── http            /metrics /healthz /readyz /status
    └── node            the order of things within one turn of the loop
        ├── connections     who may come in, who is called, what the engine sends
        │   ├── transport       one connection: frames out of bytes, one write a turn
        │   ├── listen, dial    in and out       └── foreign     other regions' frames, until there is time
        ├── disk            the thread that syncs (histogram: how long that takes)
        ├── snapshots       the table to disk, in slices
        └── pulse           when the engine is woken, how late the loop is
say        lines on stderr
"""
