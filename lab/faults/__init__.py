"""One kind of harm a file; entering harms, leaving heals. A fault itself says whether it fits."""

FAULTS = {
    "burn": "lab.faults.burn:BurnFault",
    "deaf": "lab.faults.deaf:DeafFault",
    "flap": "lab.faults.flap:FlapFault",
    "latency": "lab.faults.latency:LatencyFault",
    "mute": "lab.faults.mute:MuteFault",
    "none": "lab.faults.none:NoFault",
    "partition": "lab.faults.partition:PartitionFault",
    "pause": "lab.faults.pause:PauseFault",
    "rate": "lab.faults.rate:RateFault",
    "restart": "lab.faults.restart:RestartFault",
}
