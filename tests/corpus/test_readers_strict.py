"""--strict names the first row that is no note by its id or its line, never by its text."""

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import readers, staging
from clinical_t5x.corpus.sources import NoteSource

COLUMNS = {"patient": "who", "note_id": "id", "text": "text"}


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ("1,n-1,fine\n2,n-2,Mrs Miller,came\n", "n-2: more fields than the header"),
        ("1,Miller,Mrs,came\n", "line 2: more fields than the header"),
        ('1,n-1,"a\nb"\n2,,Mrs Miller came\n3,,x\n', "line 4: no note id"),
        ("1,n-1,a\n,n-2,Mrs Miller came\n", "n-2: no patient id"),
        ("1,n-1,a\n,Mrs Miller came,text\n", "line 3: no patient id"),
        ('1,n-1,a\n2,n-2,"Mrs Miller came\n', "n-2: a quote that is never closed"),
    ],
)
def test_the_row_is_named_without_its_text(tmp_path, rows, where):
    path = tmp_path / "notes.csv"
    path.write_text("who,id,text\n" + rows)
    source = NoteSource("n", epath.Path(path), path.name, COLUMNS)
    options = staging.StagingOptions(strict=True)
    batches = [unparsed.parse() for unparsed in readers.read_batches(source)]
    *_, last = [readers.Unparsed(0, lambda batch=batch: batch) for batch in batches]
    with pytest.raises(UserError, match=f"a row that cannot be used: {where}; mend") as caught:
        staging.stage_batch(last, source, (0, 0), tmp_path, options)
    assert "Miller" not in str(caught.value)
