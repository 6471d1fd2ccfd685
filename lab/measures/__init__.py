"""What is measured in a run: history → numbers, pure, one idea a file.

The order is the order of computing: a measure reads earlier ones from what it is handed and never
imports them. Beside the measures live four helpers that state nothing of their own: `windows`
(window arithmetic), `operations` (load and cuts), `harm` (which outage belongs to which fault) and
`probes` (what the witnesses read).
"""

MEASURES = {
    "phases": "lab.measures.phases:measure",
    "availability": "lab.measures.availability:measure",
    "latency": "lab.measures.latency:measure",
    "outages": "lab.measures.outages:measure",
    "propagation": "lab.measures.propagation:measure",
    "blast_radius": "lab.measures.blast_radius:measure",
    "recovery": "lab.measures.recovery:measure",
    "staleness": "lab.measures.staleness:measure",
    "replication_lag": "lab.measures.replication_lag:measure",
    "amplification": "lab.measures.amplification:measure",
    "durability": "lab.measures.durability:measure",
    "divergence": "lab.measures.divergence:measure",
    "errors": "lab.measures.errors:measure",
    "links": "lab.measures.links:measure",
    "faults": "lab.measures.faults:measure",
    "leaders": "lab.measures.leaders:measure",
    "harness": "lab.measures.harness:measure",
    "slept_s": "lab.measures.slept:measure",
    "routes_missing": "lab.measures.routes:measure",
}
