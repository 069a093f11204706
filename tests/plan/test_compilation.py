import pytest

from clinical_t5x.plan.compilation import read_out_of_memory

G = 2**30


@pytest.mark.parametrize(
    ("message", "needed", "limit"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (112.89G) exceeds available HBM (15.75G).",
            112.89 * G,
            15.75 * G,
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
            "space hbm. Used 16.00G of 15.75G hbm. Exceeded hbm capacity by 256.00M.",
            16 * G,
            15.75 * G,
        ),
        ("RESOURCE_EXHAUSTED: no figures at all", 0, 0),
    ],
)
def test_out_of_memory_becomes_figures(message, needed, limit):
    found = read_out_of_memory(f"some lines before\n{message}\nand a table after it")
    assert found.out_of_memory == message[:300]
    assert found.needed == pytest.approx(needed, abs=1)
    assert found.limit == pytest.approx(limit, abs=1)
