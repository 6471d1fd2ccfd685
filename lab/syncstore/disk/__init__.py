"""What lies under `log`: the bytes of frames, files of segments and snapshots, and what is found of them at a start.

log        Log: append, sync, snapshots
├── recovery    what of a directory is in force, and what is refused
├── segment     one file of entries          ├── snapshot   one file of chunks
├── backlog     what isn't known to be durable, in memory
├── frames      bytes alone                  └── files      the system calls
"""
