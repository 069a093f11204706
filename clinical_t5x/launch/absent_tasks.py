"""Packages of tasks that gin files import and that may not be installed.

T5X's examples import `t5.data.mixtures`, which registers Google's tasks when it is imported and is
named for nothing else. Where it is not installed, the file still holds a model and a recipe: it is
read with an empty module in its place, and a run needs the name of another task.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator

_PACKAGES = ("t5",)


def is_absent(module: str) -> bool:
    """Whether `module` belongs to such a package, and the package is not installed."""
    top = module.partition(".")[0]
    if top not in _PACKAGES or top in sys.modules:
        return False
    try:
        return importlib.util.find_spec(top) is None
    except (ImportError, ValueError):
        return True


@contextlib.contextmanager
def stand_ins(modules: Iterable[str]) -> Iterator[None]:
    """Let gin import those of `modules` that are absent, as empty modules, inside the block."""
    added: list[str] = []
    for module in modules:
        if not is_absent(module):
            continue
        parts = module.split(".")
        added += [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for name in dict.fromkeys(added):
        stand_in = types.ModuleType(name, "Stands in for a package that is not installed.")
        stand_in.__path__ = []
        sys.modules[name] = stand_in
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, stand_in)
    try:
        yield
    finally:
        for name in added:
            sys.modules.pop(name, None)
