"""Makes this project's `t5x` package importable, from a clone or from anywhere.

`t5x/` holds Google T5X's names and is not installed (it must never cover Google's package), so a
command that runs outside the clone loads it from the folder beside `clinical_t5x`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

from clinical_t5x.console import UserError

_ROOT = Path(__file__).resolve().parents[2]

# The folder that contains our `t5x`, or None where clinical_t5x was installed without its clone.
CHECKOUT: Path | None = _ROOT if (_ROOT / "t5x" / "__init__.py").is_file() else None


def provide() -> None:
    """Make `import t5x` mean this project's names in this process.

    The commands of clinical_t5x run this project even where Google's T5X is installed; only
    `python -m t5x.train` steps aside for it.

    Raises:
      UserError: another `t5x` is already loaded here, or there is no clone to load ours from.
    """
    loaded = sys.modules.get("t5x")
    if loaded is not None:
        if not _is_ours(loaded):
            raise UserError(
                "another package named t5x is loaded in this process, so gin's t5x names would "
                "mean that one; run this configuration in a process of its own"
            )
        return
    if CHECKOUT is None:
        raise UserError(
            "clinical_t5x is installed without its clone, which holds the t5x names and gin "
            "files; clone the repository and run: pip install -e ."
        )
    folder = CHECKOUT / "t5x"
    spec = importlib.util.spec_from_file_location(
        "t5x", folder / "__init__.py", submodule_search_locations=[os.fspath(folder)]
    )
    # The module is not executed: all that its code does is to step aside for Google's T5X.
    sys.modules["t5x"] = importlib.util.module_from_spec(spec)


def _is_ours(module: object) -> bool:
    if CHECKOUT is None:
        return False
    places = [os.path.realpath(place) for place in getattr(module, "__path__", ())]
    return places == [os.path.realpath(CHECKOUT / "t5x")]
