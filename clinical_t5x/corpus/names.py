"""What a corpus or a vocabulary may be called."""

from __future__ import annotations

import re

from clinical_t5x.console import UserError

_LONGEST_NAME = 100  # bytes; file systems take 255, and hidden directories' names add to it


def check_name(name: str) -> None:
    """Refuse what cannot name a directory beside others in the data home and among TFDS's.

    Raises:
      UserError: naming the option --name.
    """
    if not name or name.startswith(".") or set(name) & set("/*?[") or not name.isprintable():
        raise UserError(f"--name is {name!r}; give a plain directory name")
    if len(name.encode()) > _LONGEST_NAME:
        raise UserError(f"--name is longer than {_LONGEST_NAME} bytes; give a shorter one")
    if re.fullmatch(r"\d+\.\d+\.\d+", name):
        raise UserError(
            f"--name is {name!r}, which TFDS takes for a version; give one that is no version, "
            f"such as v{name}"
        )
