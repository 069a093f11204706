import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.duplicates.signatures import LANES
from clinical_t5x.corpus.duplicates.staged_lanes import StagedLanes, write_lanes
from clinical_t5x.corpus.staging import piece_name, pieces_of


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 63)), max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_wanted_notes_of_all_pieces_come_back_in_order(tmp_path_factory, pieces):
    directory = tmp_path_factory.mktemp("lanes")
    rng = np.random.default_rng(len(pieces))
    expected, listed = [np.zeros((LANES, 0), np.uint16)], []
    for number, (count, chosen) in enumerate(pieces):
        lanes = rng.integers(0, 2**16, (LANES, count), dtype=np.uint16)
        wanted = np.flatnonzero([chosen >> place & 1 for place in range(count)])
        write_lanes(directory / f"{number}", lanes)
        listed.append((f"{number}", count, wanted))
        expected.append(lanes[:, wanted])
    staged = StagedLanes(directory, listed)
    for lane in range(LANES):
        assert staged.read(lane).tolist() == np.concatenate(expected, axis=1)[lane].tolist()


def test_signatures_of_another_number_of_notes_are_refused(tmp_path):
    write_lanes(tmp_path / "piece", np.zeros((LANES, 3), np.uint16))
    with pytest.raises(AssertionError, match="piece does not hold the signatures of 4 notes"):
        StagedLanes(tmp_path, [("piece", 4, np.arange(4))])


def test_rows_say_which_piece_they_are_in():
    rows = [(0, 0, 0), (0, 0, 5), (0, 2, 1), (3, 0, 0), (3, 0, 1), (3, 70_000, 9)]
    numbers = np.array([(s << 48) + (b << 24) + row for s, b, row in rows], np.uint64)
    assert list(pieces_of(numbers)) == [
        (piece_name(0, 0), slice(0, 2)),
        (piece_name(0, 2), slice(2, 3)),
        (piece_name(3, 0), slice(3, 5)),
        (piece_name(3, 70_000), slice(5, 6)),
    ]
    assert list(pieces_of(numbers[:0])) == []
