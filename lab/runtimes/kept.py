"""What every runtime keeps of a node in the run's directory: its configuration and its log."""

from __future__ import annotations

from lab.protocols import NodeSpec, RunFiles


def keep_configuration(files: RunFiles, spec: NodeSpec) -> None:
    files.configuration.mkdir(parents=True, exist_ok=True)
    for name, text in spec.files.items():
        (files.configuration / f"{spec.name}-{name}").write_text(text, encoding="utf-8")


def log_lines(files: RunFiles, node: str) -> list[str]:
    """Of the log as it lies in the run's directory; none where there is none."""
    path = files.logs / f"{node}.log"
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
