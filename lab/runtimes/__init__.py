"""Where nodes run. `auto` takes the best one this machine offers."""

RUNTIMES = {
    "memory": "lab.memory:MemoryRuntime",
    "process": "lab.runtimes.process:ProcessRuntime",
}
