"""Lists of patients to leave out, such as those of n2c2's challenges."""

from __future__ import annotations

import csv
import io

from etils import epath

from clinical_t5x.console import UserError

# Columns that lists are published with, lower-cased -> the source whose patients they number.
_COLUMNS = {
    "subject_id": "mimic-iii",
    "subject_id_mimic_iii": "mimic-iii",
    "subject_id_mimic_iv": "mimic-iv",
}
_WHOLE_IDS = "patient_id"


def read_patients(path: epath.Path) -> list[str]:
    """The patients of a list, as `patient_id` has them (`mimic-iii/1234`), unique and sorted.

    A list is a CSV file with a column subject_id (MIMIC-III), subject_id_mimic_iv (MIMIC-IV) or
    patient_id (`SOURCE/ID`), or has a MIMIC-III SUBJECT_ID on every line and no header.

    Raises:
        UserError: the file is missing, has no such column, or a cell that is no id.
    """
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise UserError(
            f"--exclude_patients {path} does not exist; name an existing file"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"--exclude_patients {path} is no text file; give a CSV file") from error
    rows = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) if any(row)]
    if not rows:
        return []
    header = [name.strip().lower() for name in rows[0]]
    if len(header) == 1 and _whole_number(header[0]):
        return sorted({f"mimic-iii/{_number(row[0], path)}" for row in rows})
    wanted = {name: place for place, name in enumerate(header) if name in (*_COLUMNS, _WHOLE_IDS)}
    if not wanted:
        raise UserError(
            f"--exclude_patients {path} has no column {', '.join((*_COLUMNS, _WHOLE_IDS))}; "
            f"columns found: {', '.join(header)[:200]}"
        )
    found = set()
    for row in rows[1:]:
        for name, place in wanted.items():
            cell = row[place].strip() if place < len(row) else ""
            if cell and name == _WHOLE_IDS:
                found.add(cell)
            elif cell:
                found.add(f"{_COLUMNS[name]}/{_number(cell, path)}")
    return sorted(found)


def _whole_number(cell: str) -> bool:
    return cell.strip().removesuffix(".0").isdecimal()


def _number(cell: str, path: epath.Path) -> int:
    if not _whole_number(cell):
        raise UserError(f"--exclude_patients {path} has a cell that is no SUBJECT_ID; mend it")
    return int(cell.strip().removesuffix(".0"))
