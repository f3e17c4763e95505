"""One purse for all models of a run: nothing is taken that is not there, whoever takes it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_selfrep.errors import BudgetSpent, HarnessError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.trial.budget import Purse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "purse"
    path.touch()
    return path


def use(tokens: int, dollars: float | None) -> ModelUse:
    return ModelUse(1, 0, tokens, 0, dollars)


def test_what_is_set_aside_is_not_there_for_others(path: Path) -> None:
    purse = Purse(path, 1000, None)
    purse.reserve(600, None)

    with pytest.raises(BudgetSpent, match=r"1000 tokens .*of which 400 are left .*may take 600"):
        purse.reserve(600, None)


def test_what_a_call_did_not_take_is_there_again(path: Path) -> None:
    purse = Purse(path, 1000, None)
    purse.reserve(600, None)
    purse.settle(600, None, use(100, None))

    purse.reserve(900, None)
    with pytest.raises(BudgetSpent):
        purse.reserve(1, None)


def test_dollars_are_kept_as_tokens_are(path: Path) -> None:
    purse = Purse(path, None, 1.0)
    purse.reserve(10**9, 0.7)
    with pytest.raises(BudgetSpent, match=r"cost 1 dollars .* 0\.3 are left .*may cost 0\.4"):
        purse.reserve(1, 0.4)

    purse.settle(10**9, 0.7, use(50, 0.1))
    purse.reserve(1, 0.9)


def test_an_unknown_price_is_not_zero(path: Path) -> None:
    Purse(path, 1000, None).reserve(10, None)

    with pytest.raises(BudgetSpent, match="what the next call costs is unknown"):
        Purse(path, None, 1.0).reserve(10, None)


def test_a_call_that_took_more_than_was_left_is_one_too_many_and_so_are_all_after_it(path: Path) -> None:
    purse = Purse(path, 1000, 1.0)
    purse.settle(0, 0.0, use(900, 0.5))
    for dollars in (0.2, 0.1):
        with pytest.raises(
            BudgetSpent, match=r"have taken \d+ tokens and 0\.\d dollars, which is more than they may"
        ):
            purse.settle(0, 0.0, use(200, dollars))

    assert purse.in_words()[1:] == [
        "budget spent: models took more than --selfrep-max-tokens 1000 and --selfrep-max-cost 1; "
        "trials under way then are invalid"
    ]


def test_a_call_that_took_nobody_knows_how_many_dollars_is_none_that_the_run_can_afford(path: Path) -> None:
    with pytest.raises(BudgetSpent, match="what a call cost is unknown"):
        Purse(path, None, 1.0).settle(0, 0.0, use(10, None))


def test_what_was_taken_is_told_with_calls_of_unknown_price_apart(path: Path) -> None:
    purse = Purse(path, 1000, None)
    for each in (use(10, 0.25), use(20, None)):
        purse.reserve(100, each.dollars)
        purse.settle(100, each.dollars, each)

    account = purse.account()
    assert (account.calls, account.tokens, account.dollars, account.unpriced) == (2, 30, 0.25, 1)
    assert (account.tokens_aside, account.dollars_aside) == (0, 0.0)


def test_it_says_what_was_taken_and_what_was_refused(path: Path) -> None:
    purse = Purse(path, 1000, 2.0)
    purse.reserve(800, 1.0)
    purse.settle(800, 1.0, ModelUse(1, 2, 700, 50, 0.5))
    with pytest.raises(BudgetSpent):
        purse.reserve(800, 1.0)

    assert purse.in_words() == [
        "models: 1 call and 2 retries, 750 tokens, 0.5000 dollars",
        "budget spent: 1 call not made that might have taken more than is left of --selfrep-max-tokens 1000"
        " and --selfrep-max-cost 2; trials that needed them are invalid",
    ]


def test_what_is_known_of_a_price_is_no_whole_price(path: Path) -> None:
    purse = Purse(path)
    for each in (use(10, 0.25), use(20, None), ModelUse(0, 1, 20, 0, None)):
        purse.reserve(100, each.dollars)
        purse.settle(100, each.dollars, each)

    (words,) = purse.in_words()
    assert words.endswith("50 tokens, at least 0.2500 dollars, for 2 calls had no known price")


def test_calls_that_cost_nothing_do_not_make_those_of_unknown_price_cost_nothing(path: Path) -> None:
    purse = Purse(path)
    for each in (use(0, 0.0), use(20, None)):
        purse.reserve(100, None)
        purse.settle(100, None, each)

    (words,) = purse.in_words()
    assert words.endswith("2 calls, 20 tokens, of unknown price")


def test_calls_whose_end_nobody_told_are_reported(path: Path) -> None:
    purse = Purse(path)
    purse.reserve(800, 1.0)

    assert purse.in_words() == [
        "models: 0 calls, 0 tokens, 0.0000 dollars",
        "models: at most 800 tokens and 1.0000 dollars more, for calls whose end nobody told",
    ]


def test_threads_and_processes_share_it(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_selfrep.trial.budget import Purse\n"
        "from pytest_selfrep.errors import BudgetSpent\n"
        "purse, got = Purse(Path(sys.argv[1]), 100, None), 0\n"
        "for _ in range(60):\n"
        "    try: purse.reserve(1, None)\n"
        "    except BudgetSpent: continue\n"
        "    got += 1\n"
        "print(got)\n"
    )

    def take(_: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
        )
        return int(done.stdout)

    with ThreadPoolExecutor(3) as threads:
        taken = sum(threads.map(take, range(3)))

    assert taken == 100


def test_a_purse_that_is_lost_is_no_full_one(path: Path) -> None:
    purse = Purse(path, 1000, None)
    purse.reserve(600, None)
    path.unlink()

    with pytest.raises(HarnessError, match="cannot be read"):
        purse.reserve(600, None)


def test_a_run_that_asked_no_model_has_nothing_to_say(path: Path) -> None:
    assert Purse(path, 1000, None).in_words() == []


def test_a_call_that_is_told_when_the_run_is_over_leaves_nothing_behind(path: Path) -> None:
    purse = Purse(path, 1000, None)
    purse.reserve(10, None)
    path.unlink()

    with pytest.raises(HarnessError):
        purse.settle(10, None, use(5, None))

    assert not path.exists()


def test_a_purse_that_cannot_be_read_is_no_full_one(path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot be read"):
        Purse(path / "not" / "there", 100, None).reserve(1, None)
    path.write_text("{")
    with pytest.raises(HarnessError, match="can no longer be read"):
        Purse(path, 100, None).reserve(1, None)
