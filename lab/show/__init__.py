"""What a thing means: everything the lab can name, told for people from the files and docstrings that
make it what it is. Starts nothing, and reads no run: those are for `report`."""

from __future__ import annotations

from lab.show.listing import listing
from lab.show.names import Thing, meant
from lab.show.pages import page_of

__all__ = ["Thing", "listing", "meant", "page_of"]
