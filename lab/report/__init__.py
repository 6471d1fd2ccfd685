"""The first screen of a run: one sentence, one table, whether the fault bit, what can't be said.

Pure functions of a run's directory, none of them draws with plotly; `html` and `text` are the
same content for a page and for a terminal.
"""

from __future__ import annotations

from lab.report.blind_spots import limits
from lab.report.definitions import definitions, definitions_html, gates
from lab.report.page import Page, html, limits_html, logs_html
from lab.report.repeat import command
from lab.report.sentence import headline
from lab.report.server_log import LogLine, log_lines
from lab.report.table import rows
from lab.report.terminal import text

__all__ = [
    "LogLine", "Page", "command", "definitions", "definitions_html", "gates", "headline", "html",
    "limits", "limits_html", "log_lines", "logs_html", "rows", "text",
]  # fmt: skip
