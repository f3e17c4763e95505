"""Numbered tasks on threads."""

from __future__ import annotations

import threading
import time
from typing import TypeVar

import pytest

from pytest_selfrep.trial.ordered import Ordered

T = TypeVar("T")


def taken(ordered: Ordered[T], count: int) -> list[T]:
    return [ordered.take() for _ in range(count)]


@pytest.mark.parametrize("jobs", [1, 3, 50])
def test_results_come_in_the_order_of_their_numbers_whatever_the_number_of_threads(jobs: int) -> None:
    def slow_when_early(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0.0)
        return number * number

    ordered = Ordered(slow_when_early, 12, jobs)

    assert taken(ordered, 12) == [number * number for number in range(12)]


def test_tasks_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)

    ordered = Ordered(lambda number: together.wait() >= 0, 3, jobs=3)

    assert taken(ordered, 3) == [True, True, True]


def test_no_more_than_the_given_number_is_ever_begun_ahead() -> None:
    begun: list[int] = []
    ordered = Ordered(begun.append, 100, jobs=4)

    for number in range(10):
        ordered.take()
        assert len(begun) <= number + 4


def test_nothing_is_begun_while_nobody_waits() -> None:
    begun: list[int] = []
    ordered = Ordered(begun.append, 100, jobs=2)
    assert begun == []

    ordered.take()
    time.sleep(0.05)
    known = len(begun)
    time.sleep(0.05)

    assert len(begun) == known


def test_what_a_task_raises_comes_out_at_its_turn() -> None:
    def fails_at_one(number: int) -> int:
        if number == 1:
            raise LookupError("gone")
        return number

    ordered = Ordered(fails_at_one, 3, jobs=3)

    assert ordered.take() == 0
    with pytest.raises(LookupError, match="gone"):
        ordered.take()
    assert ordered.take() == 2


def test_where_no_thread_can_be_had_the_error_says_so_and_closing_goes_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ordered = Ordered(lambda number: number, 3, 2)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ordered.take()
    ordered.close()


def test_there_is_nothing_after_the_last() -> None:
    ordered = Ordered(str, 1, jobs=1)
    ordered.take()

    with pytest.raises(IndexError):
        ordered.take()


def test_nothing_is_begun_after_closing_and_threads_end() -> None:
    before = set(threading.enumerate())
    ordered = Ordered(str, 1000, jobs=3)
    ordered.take()

    ordered.close(patience=10)

    assert set(threading.enumerate()) <= before
    with pytest.raises(IndexError):
        ordered.take()


def test_threads_are_daemons_so_that_one_that_hangs_cannot_keep_the_process_alive() -> None:
    release = threading.Event()
    ordered = Ordered(lambda number: number > 0 and release.wait(60), 2, jobs=2)
    ordered.take()

    ordered.close(patience=0.0)

    ours = [thread for thread in threading.enumerate() if thread.name.startswith("trial-")]
    assert ours
    assert all(thread.daemon for thread in ours)
    release.set()
