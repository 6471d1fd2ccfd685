"""What is promised of a run, and whether it was kept: history + numbers → finding, pure.

`evidence` always runs first and decides whether the others may be believed; an experiment's
hypothesis names the rest. A checker never raises: what it can't tell is `unknown`.
"""

CHECKERS = {
    "evidence": "lab.checkers.evidence:check",
    "isolation": "lab.checkers.isolation:check",
    "durability": "lab.checkers.durability:check",
    "convergence": "lab.checkers.convergence:check",
    "watches": "lab.checkers.watches:check",
}
