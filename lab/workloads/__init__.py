"""What clients do during a run."""

WORKLOADS = {"kv": "lab.workloads.kv:KvWorkload"}
