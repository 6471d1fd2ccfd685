"""The first screen's style sheet, inline in every piece, since a notebook has no page of its own.

Jupyter's own ink where there is any, else the page's; the three accents are mid-tones, of contrast
≥ 4:1 on white and on near-black, since a notebook's theme can't be known here.
"""

from __future__ import annotations

STYLE = """
.lab { color: var(--jp-ui-font-color1, inherit); max-width: 1260px;
  font: 13px/1.35 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.lab * { box-sizing: border-box; }
.lab h2 { font-size: 17px; line-height: 1.35; margin: 2px 0 6px; font-weight: 600; }
.lab p, .lab ul { margin: 3px 0; }
.lab li { margin: 1px 0; }
.lab .badge { display: inline-block; border: 2px solid currentColor; border-radius: 4px;
  padding: 0 7px; margin-right: 8px; font-size: 14px; }
.lab .valid { color: #0b8a63; }
.lab .invalid, .lab td.hurt { color: #d24a12; }
.lab .unknown { color: #9a7200; }
.lab .faint { opacity: .68; }
.lab .scroll { overflow-x: auto; }
.lab table { border-collapse: collapse; border: 0; margin: 4px 0 8px; font-size: 12.5px;
  font-variant-numeric: tabular-nums; }
.lab tbody tr { background: none !important; }
.lab th, .lab td { padding: 1px 7px; text-align: right; border: 0; background: none;
  white-space: nowrap; vertical-align: middle; }
.lab th { font-weight: 600; opacity: .68; vertical-align: bottom; line-height: 1.15; }
.lab th.l, .lab td.l { text-align: left; }
.lab tr.first td { border-top: 1px solid rgba(128, 128, 128, .4); font-weight: 600; }
.lab tr.first td.plain { font-weight: 400; }
.lab td.wrap { white-space: normal; max-width: 210px; line-height: 1.25; overflow-wrap: anywhere; }
.lab td.hurt { font-weight: 600; }
.lab td svg { display: block; }
.lab code { font: 12px ui-monospace, Menlo, Consolas, monospace; color: inherit; background: none;
  overflow-wrap: anywhere; }
"""
