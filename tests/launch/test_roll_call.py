"""The roll call over real sockets on this machine: threads stand for the processes of a group."""

import concurrent.futures
import contextlib
import socket
import threading
import time

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import roll_call
from clinical_t5x.launch.roll_call import Member, call_roll


@pytest.fixture
def address():
    return f"127.0.0.1:{free_port()}"


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def call(address, *members, timeout=20.0):
    """What every member gets: the machines, or the error."""

    def one(member):
        try:
            return call_roll(member, address, timeout=timeout, places={1: "planned-1"})
        except UserError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(members)) as pool:
        return list(pool.map(one, members))


def member(index, count, machine=None):
    return Member(index, count, machine or f"m{index}")


def test_everybody_learns_who_is_there(address):
    answers = call(address, *(member(i, 5) for i in (3, 0, 4, 1, 2)))
    assert answers == [["m0", "m1", "m2", "m3", "m4"]] * 5


def test_the_port_is_free_for_jax_afterwards(address):
    call(address, member(0, 2), member(1, 2))
    roll_call._listening_socket(int(address.rpartition(":")[2])).close()


def test_missing_processes_are_named_to_all_who_came(address):
    first, third = call(address, member(0, 4), member(2, 4), timeout=1.5)
    for error in (first, third):
        assert "2 of 4 processes are missing: number 1 (planned-1), 3." in str(error)
        assert "of m0" in str(error)


def test_nobody_at_the_coordinators_address(address):
    (error,) = call(address, member(1, 2), timeout=0.5)
    assert f"{address} does not answer" in str(error)


def test_two_processes_of_one_number(address):
    answers = call(address, member(0, 3), member(1, 3, "one"), member(1, 3, "two"), timeout=5)
    assert any("two processes have the number 1" in str(answer) for answer in answers)


def test_second_first_process(address):
    """The one that comes too late to listen waits for the port, and is told at its end."""
    answers = call(address, member(0, 2, "a"), member(0, 2, "b"), timeout=1.0)
    texts = [str(answer) for answer in answers]
    assert all("missing" in text or "cannot be used" in text for text in texts)


def test_different_counts(address):
    answers = call(address, member(0, 3), member(1, 2), timeout=5)
    assert all("give the same --process_count" in str(answer) for answer in answers)


def test_process_that_died_while_waiting_may_come_again(address):
    host, port = roll_call.split_address(address)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(call_roll, member(0, 3), address, timeout=20)
        gone = connected(host, port)
        gone.sendall(b'{"greeting": "clinical_t5x roll call 1", "index": 1, "count": 3,'
                     b' "machine": "m1"}\n')  # fmt: skip
        gone.close()
        others = [pool.submit(call_roll, member(1, 3), address, timeout=20)]
        others.append(pool.submit(lambda: call_roll(member(2, 3), address, timeout=20)))
        assert first.result() == ["m0", "m1", "m2"]
        assert [other.result() for other in others] == [["m0", "m1", "m2"]] * 2


def test_machine_that_went_without_a_word_is_not_counted(address, monkeypatch):
    monkeypatch.setattr(roll_call, "_SILENCE", 0.5)
    monkeypatch.setattr(roll_call, "_BETWEEN_SIGNS", 0.1)
    host, port = roll_call.split_address(address)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(call_roll, member(0, 3), address, timeout=20)
        ghost = connected(host, port)
        ghost.sendall(b'{"greeting": "clinical_t5x roll call 1", "index": 1, "count": 3,'
                      b' "machine": "ghost"}\n')  # fmt: skip
        while ghost.recv(100):  # until the roll gives it up
            pass
        other = pool.submit(call_roll, member(2, 3), address, timeout=20)
        assert call_roll(member(1, 3), address, timeout=20) == ["m0", "m1", "m2"]
        assert first.result() == other.result() == ["m0", "m1", "m2"]
        ghost.close()


def test_other_peoples_programs_do_no_harm(address):
    host, port = roll_call.split_address(address)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(call_roll, member(0, 2), address, timeout=20)
        for text in (b"GET / HTTP/1.1\r\n\r\n", b"[1, 2]\n", b'{"greeting": "x"}\n', b"\xff\n",
                     b'{"greeting": "clinical_t5x roll call 1", "index": "1"}\n'):  # fmt: skip
            with connected(host, port) as stranger:
                stranger.sendall(text)
                with contextlib.suppress(OSError):
                    assert stranger.recv(100) == b""
        assert call_roll(member(1, 2), address, timeout=20) == ["m0", "m1"]
        assert first.result() == ["m0", "m1"]


def test_an_earlier_coordinator_on_the_port_is_waited_out(address):
    """What answers at first speaks another language, as JAX's coordinator of a run that ends."""
    _, port = roll_call.split_address(address)
    old = roll_call._listening_socket(port)

    def end_soon():
        connection, _ = old.accept()
        connection.sendall(b"\x00\x00\x06\x04 HTTP/2\n")
        connection.close()
        old.close()

    threading.Thread(target=end_soon, daemon=True).start()
    assert call(address, member(1, 2), member(0, 2)) == [["m0", "m1"]] * 2


def connected(host, port):
    while True:
        try:
            return socket.create_connection((host, port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.01)
