"""Systems under test."""

BACKENDS = {
    "jetstream-stretched": "lab.backends.jetstream.stretched:StretchedJetStream",
    "memory": "lab.memory:MemoryBackend",
}
