"""Where gin files are found: the paths given, the working directory, the parent of `t5x`.

The same list resolves the files named on the command line and every `include` in them; the first
hit wins, as in T5X.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from clinical_t5x.console import UserError
from clinical_t5x.launch import facade


class SearchPath:
    """An ordered list of directories in which gin files are looked up."""

    def __init__(self, given: Iterable[str | os.PathLike] = (), default: Iterable[str] = ()):
        """Order the directories.

        Args:
          given: what --gin_search_paths names.
          default: what a program looks in where nothing is given; relative to the working
            directory, then to the clone.
        """
        given, default = [*map(os.fspath, given)], list(default)
        candidates = [*(given or default), "."]
        if facade.CHECKOUT is not None:
            places = [] if given else default
            candidates += [os.path.join(facade.CHECKOUT, place) for place in [*places, "."]]
        absolute = [os.path.abspath(os.path.expanduser(path)) for path in candidates]
        self.directories: tuple[str, ...] = tuple(dict.fromkeys(absolute))

    def find(self, name: str, wanted_by: str = "") -> str:
        """The absolute path of gin file `name`.

        Args:
          name: a path, absolute or relative to one of the directories.
          wanted_by: who asks, for the message, such as "include in a.gin line 3".

        Raises:
          UserError: no such file; the message names the places and the nearest existing name.
        """
        if "://" in name:
            raise UserError(f"{name}: gin files are read from disks only; copy it to this machine")
        name = os.path.expanduser(name)
        for directory in self.directories:
            path = os.path.normpath(os.path.join(directory, name))
            if os.path.isfile(path):
                return path
        origin = f" ({wanted_by})" if wanted_by else ""
        near = self._near(name)
        advice = f"did you mean {near}?" if near else "give its directory with --gin_search_paths"
        looked = "" if os.path.isabs(name) else f", looked in {', '.join(self.directories)}"
        raise UserError(f"no gin file {name!r}{origin}{looked}; {advice}")

    def _near(self, name: str) -> str | None:
        """The existing gin file whose name is closest to `name`, written as the user would."""
        folder, base = os.path.split(name)
        found: dict[str, str] = {}
        for directory in self.directories:
            for place in dict.fromkeys((folder, "gin", "")):
                listed = Path(directory, place)
                if listed.is_dir():
                    for path in sorted(listed.glob("*.gin")):
                        found.setdefault(path.stem, os.path.join(place, path.name))
        matches = difflib.get_close_matches(base.removesuffix(".gin"), found, n=1, cutoff=0.6)
        return found[matches[0]] if matches else None
