"""Systems under test."""

BACKENDS = {
    "jetstream-stretched": "lab.backends.jetstream.stretched:StretchedJetStream",
    "syncstore": "lab.backends.syncstore.store:SyncStore",
    "memory": "lab.memory:MemoryBackend",
}
