"""One kind of harm a file; entering harms, leaving heals. A fault itself says whether it fits."""

FAULTS = {
    "latency": "lab.faults.latency:LatencyFault",
    "none": "lab.faults.none:NoFault",
    "partition": "lab.faults.partition:PartitionFault",
}
