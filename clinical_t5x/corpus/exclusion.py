"""Lists of patients to leave out, such as those of n2c2's challenges."""

from __future__ import annotations

import csv
import io
import re

from etils import epath

from clinical_t5x.console import UserError

# Columns that lists are published with, lower-cased -> the source whose patients they number.
_COLUMNS = {
    "subject_id": "mimic-iii",
    "subject_id_mimic_iii": "mimic-iii",
    "subject_id_mimic_iv": "mimic-iv",
}
_WHOLE_IDS = "patient_id"
# A number as tables have it; some programs write 12.0 for 12. Longer ones are no ids.
_NUMBER = re.compile(r"(\d{1,18})(?:\.0)?")


def read_patients(path: epath.Path) -> list[str]:
    """The patients of a list, as `patient_id` has them (`mimic-iii/1234`), unique and sorted.

    A list is a CSV file with a column subject_id (MIMIC-III), subject_id_mimic_iv (MIMIC-IV) or
    patient_id (`SOURCE/ID`), or has a MIMIC-III SUBJECT_ID on every line and no header.

    Raises:
        UserError: the file is missing or no table, has no such column, no patient, or a cell that
            is no id.
    """
    rows = _rows(path)
    found = sorted(_patients(rows, path)) if rows else []
    if not found:
        raise UserError(
            f"--exclude_patients {path} names no patient; fill the list, or leave it out"
        )
    return found


def _rows(path: epath.Path) -> list[list[str]]:
    """The rows of a table that are not blank, the first one included."""
    try:
        text = path.read_text()
        rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
        return [row for row in rows if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        raise UserError(
            f"--exclude_patients {path} does not exist; name an existing file"
        ) from error
    except IsADirectoryError as error:
        raise UserError(f"--exclude_patients {path} is a directory; name the file in it") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--exclude_patients {path} is no text file; give a CSV file") from error


def _patients(rows: list[list[str]], path: epath.Path) -> set[str]:
    """The patients that the rows of a list name."""
    header = [name.strip().lower() for name in rows[0]]
    if len(header) == 1 and _NUMBER.fullmatch(header[0]):
        return {f"mimic-iii/{_number(row[0], path)}" for row in rows}
    wanted = {name: place for place, name in enumerate(header) if name in (*_COLUMNS, _WHOLE_IDS)}
    if not wanted:
        # How many names, not which: the first line may be of a note.
        raise UserError(
            f"--exclude_patients {path} has no column {', '.join((*_COLUMNS, _WHOLE_IDS))} "
            f"(columns found: {len(header):,}); name the column of ids so, or give another file"
        )
    found = set()
    for row in rows[1:]:
        for name, place in wanted.items():
            cell = row[place].strip() if place < len(row) else ""
            if cell and name == _WHOLE_IDS:
                found.add(cell)
            elif cell:
                found.add(f"{_COLUMNS[name]}/{_number(cell, path)}")
    return found


def _number(cell: str, path: epath.Path) -> int:
    number = _NUMBER.fullmatch(cell.strip())
    if number is None:
        raise UserError(f"--exclude_patients {path} has a cell that is no SUBJECT_ID; mend it")
    return int(number[1])
