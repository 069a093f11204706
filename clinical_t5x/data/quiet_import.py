"""Importing TensorFlow without its start-up lines, and without what only its Keras would bring.

The lines are written by C++ code before any setting of TensorFlow's log level is read, straight to
the process' standard error, on machines with and without a GPU alike.

TensorFlow imports Keras, which nothing here uses, and Keras imports scikit-learn and Matplotlib
where it finds them: a quarter of the whole time. It does without them where it does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

_ONLY_FOR_KERAS = ("sklearn", "matplotlib")


def import_tensorflow() -> None:
    """Import TensorFlow; what it writes meanwhile is shown only if the import fails."""
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written, _hidden(_ONLY_FOR_KERAS):
        os.dup2(written.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Packages that were not imported yet cannot be imported inside the block."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # what Python's import takes as "not there"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
