import threading
import time

import pytest

from clinical_t5x.corpus import threads


def test_results_come_in_the_order_of_the_items():
    def slow_at_first(number):
        time.sleep(0.02 / (number + 1))
        return number

    assert list(threads.in_order(slow_at_first, range(20), 4)) == list(range(20))


def test_nothing_comes_of_nothing():
    assert list(threads.in_order(str, [], 2)) == []


def test_calls_run_at_the_same_time():
    meet = threading.Barrier(2, timeout=10)
    assert list(threads.in_order(lambda _: meet.wait() >= 0, range(4), 2)) == [True] * 4


def test_who_consumes_slowly_holds_the_items_up():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = threads.in_order(str, items(), 2)
    for consumed in range(5):
        assert next(results) == str(consumed)
        assert len(taken) <= consumed + 3
    results.close()


def test_after_an_error_no_further_call_begins():
    called = []

    def call(number):
        called.append(number)
        if number == 3:
            raise OSError("full")
        return number

    with pytest.raises(OSError, match="full"):
        list(threads.in_order(call, range(1000), 2))
    assert max(called) <= 3 + 2


def test_who_stops_consuming_ends_the_threads():
    before = threading.active_count()
    results = threads.in_order(str, range(1000), 3)
    next(results)
    results.close()
    assert threading.active_count() == before
