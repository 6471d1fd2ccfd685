"""Where nodes run. `auto` takes `docker` where an engine of this machine answers, else `process`."""

RUNTIMES = {
    "docker": "lab.runtimes.docker.runtime:DockerRuntime",
    "memory": "lab.memory:MemoryRuntime",
    "process": "lab.runtimes.process:ProcessRuntime",
}
ENGINE_ANSWERS = "lab.runtimes.docker.engine:answers"
ENGINE_VERSION = "lab.runtimes.docker.engine:version"
ENGINE_CONNECTED = "lab.runtimes.docker.engine:connected"
