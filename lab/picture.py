"""A picture of a page's first screen, as a browser shows it: `python -m lab.picture PAGE PNG`.

For `make pictures`, which keeps the one in the README true. Needs a Chromium on PATH; nothing else
of the lab does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.errors import BinaryMissing, LabError, Refused

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1280, 1335
WITHIN_S = 60
SETTLE_MS = 8_000  # figures are drawn by a script, after the page is loaded


def take(page: Path, picture: Path) -> None:
    """Write the page's first screen as PNG. Raises Refused or BinaryMissing with what to do."""
    if not page.is_file():
        raise Refused(f"{page} does not exist; `make demo` draws one.")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise BinaryMissing(f"pictures need a browser: expected {' or '.join(BROWSERS)} on PATH; install chromium.")
    with tempfile.TemporaryDirectory(prefix="isolation-lab-picture-") as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", f"--virtual-time-budget={SETTLE_MS}",
            f"--screenshot={picture.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=False)
    if not picture.is_file():
        raise Refused(f"{browser} made no picture of {page}; open the page in it and look.")


def main() -> int:
    try:
        take(Path(sys.argv[1]), Path(sys.argv[2]))
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
