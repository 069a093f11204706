"""T5X's names for this project, so that T5X's commands and gin files work from a clone.

Every name in here is the very object of `clinical_t5x`; nothing is subclassed. Where Google's T5X
is installed, this package steps aside for it: `python -m t5x.train` is then Google's.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

_OUR_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _is_ours(spec: importlib.machinery.ModuleSpec) -> bool:
    ours = os.path.realpath(_OUR_FOLDER)
    return ours in map(os.path.realpath, spec.submodule_search_locations or ())


def _other_t5x() -> importlib.machinery.ModuleSpec | None:
    """An installed `t5x` that is not this folder, found by any importer, or None."""
    checkout = os.path.realpath(os.path.dirname(_OUR_FOLDER))
    elsewhere = [path for path in sys.path if os.path.realpath(path or os.curdir) != checkout]
    for finder in sys.meta_path:
        if not hasattr(finder, "find_spec"):
            continue
        # Editable installs put finders of their own on sys.meta_path, which know no paths.
        path = elsewhere if finder is importlib.machinery.PathFinder else None
        spec = finder.find_spec(__name__, path)
        is_package = spec is not None and spec.submodule_search_locations and spec.origin
        if is_package and spec.loader is not None and not _is_ours(spec):
            return spec
    return None


def _step_aside() -> None:
    """Become the other `t5x`: its folders are searched, and its `__init__` runs in this module."""
    other = _other_t5x()
    if other is None:
        return
    module = sys.modules[__name__]
    module.__spec__ = other
    module.__loader__ = other.loader
    module.__file__ = other.origin
    module.__path__ = list(other.submodule_search_locations)
    other.loader.exec_module(module)


_step_aside()
