"""Rows of a table as the text of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def csv_of(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A heading and the rows; a field that a row lacks stays empty, an unknown one is an error."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
