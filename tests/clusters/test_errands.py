"""Code that calls and sleeps, in turns with whoever drives it."""

from __future__ import annotations

import threading

import pytest

from pytest_selfrep.clusters.errands import Errand


def driven(errand: Errand[str]) -> tuple[list[float], str]:
    """For how long it slept each time, and what it came to."""
    steps, slept = errand.steps(), []
    while True:
        try:
            slept.append(next(steps))
        except StopIteration as ended:
            return slept, ended.value


def test_what_it_asks_is_done_in_the_drivers_thread() -> None:
    lock = threading.RLock()

    def work(errand: Errand[str]) -> str:
        def act() -> str:
            with lock:
                return threading.current_thread().name

        errand.sleep(2.5)
        return errand.ask(act)

    with lock:
        assert driven(Errand(work)) == ([2.5], threading.current_thread().name)


def test_what_goes_wrong_goes_wrong_where_it_was_asked() -> None:
    def fail() -> str:
        raise LookupError("gone")

    def work(errand: Errand[str]) -> str:
        try:
            return errand.ask(fail)
        except LookupError as error:
            raise ValueError(str(error)) from None

    with pytest.raises(ValueError, match="gone"):
        driven(Errand(work))


def test_one_that_is_left_alone_ends_though_it_holds_on() -> None:
    ended: list[str] = []

    def work(errand: Errand[str]) -> str:
        try:
            errand.sleep(1)
        finally:
            try:
                errand.sleep(2)
            finally:
                ended.append("ended")
        return "never"

    before = threading.active_count()
    steps = Errand(work).steps()
    next(steps)
    assert threading.active_count() == before + 1

    steps.close()

    assert ended == ["ended"]
    assert threading.active_count() == before
