"""Laws of the bounds, what they need to decide, and how often they may be wrong."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.risk.confidence import BETS, EProcess, MeanTest, first_side, interval, trials_needed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

coarse = st.sampled_from([0.0, 0.25, 0.5, 0.55, 0.75, 1.0])
scores = st.lists(st.one_of(coarse, st.floats(0, 1)), max_size=16)
means = st.floats(0.01, 0.99)
confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def test_the_prior_spends_all_capital_once() -> None:
    assert sum(Fraction(str(part)) for _, part in BETS) == 1
    assert EProcess(0.5).capital == pytest.approx(1)


@given(scores, means, confidences)
def test_bounds_and_tests_are_the_same_thing(xs: list[float], mean: float, confidence: float) -> None:
    bounds = interval(xs, confidence)
    side = first_side(xs, mean, confidence)
    assert (bounds.high < mean) == (side == "below")
    assert (bounds.low >= mean) == (side == "above")


@given(scores, confidences)
def test_bounds_only_tighten_and_a_look_moves_them_no_further_than_the_mean_so_far(
    xs: list[float], confidence: float
) -> None:
    before = interval([], confidence)
    for n in range(1, len(xs) + 1):
        after, mean = interval(xs[:n], confidence), math.fsum(xs[:n]) / n
        assert before.low <= after.low <= after.high <= before.high
        if after.low > before.low:
            assert after.low <= mean + 1e-9
        if after.high < before.high:
            assert after.high >= mean - 1e-9
        before = after


@given(scores, confidences)
def test_bounds_of_reflected_scores_are_reflected(xs: list[float], confidence: float) -> None:
    bounds, reflected = interval(xs, confidence), interval([1 - x for x in xs], confidence)
    assert reflected.low == pytest.approx(1 - bounds.high, abs=1e-9)
    assert reflected.high == pytest.approx(1 - bounds.low, abs=1e-9)


@given(scores, st.data(), means)
def test_worse_scores_never_add_to_the_evidence_of_safety(
    xs: list[float], data: st.DataObject, mean: float
) -> None:
    milder, worse = EProcess(1 - mean), EProcess(1 - mean)
    for x in xs:
        milder.pay(1 - x)
        worse.pay(1 - data.draw(st.floats(x, 1)))
        assert worse.capital <= milder.capital


@pytest.mark.parametrize("n", [1, 5, 10, 200])
def test_bounds_never_have_zero_width(n: int) -> None:
    for confidence in (0.8, 0.95, 0.999):
        flawless, hopeless = interval([0.0] * n, confidence), interval([1.0] * n, confidence)
        assert flawless.low == 0 < flawless.high
        assert hopeless.low < 1 == hopeless.high


def test_without_scores_every_mean_is_possible() -> None:
    bounds = interval([], 0.95)
    assert (bounds.low, bounds.high, bounds.confidence) == (0.0, 1.0, 0.95)


def test_early_evidence_stands_when_late_scores_contradict_it() -> None:
    early, all_of_them = interval([0.0] * 100, 0.95), interval([0.0] * 100 + [1.0] * 100, 0.95)
    assert all_of_them.low == all_of_them.high == early.high
    assert first_side([0.0] * 5 + [1.0] * 100, 0.5, 0.95) == "below"


def test_a_side_once_shown_stays() -> None:
    test = MeanTest(0.5, 0.95)
    for x in [0.0] * 5 + [1.0] * 100:
        test.add(x)
    assert test.side == "below"


def looks_until_decided(xs: Iterable[float], mean: float, confidence: float = 0.95) -> int | None:
    test = MeanTest(mean, confidence)
    for n, x in enumerate(xs, start=1):
        test.add(x)
        if test.side is not None:
            return n
    return None


@pytest.mark.parametrize(("bad", "trials"), [(0, 5), (1, 10), (2, 14), (3, 17), (4, 21)])
@pytest.mark.parametrize("good_value", [0.0, 1.0])
def test_trials_that_decide_at_a_half_are_symmetric_and_few(bad: int, trials: int, good_value: float) -> None:
    early = [1 - good_value] * bad + [good_value] * trials
    assert looks_until_decided(early, 0.5) == trials


def test_one_bad_trial_among_ten_passes_wherever_it_falls() -> None:
    for position in range(10):
        xs = [float(i == position) for i in range(10)]
        assert interval(xs, 0.95).high < 0.5


@given(st.floats(0.005, 0.995), confidences)
def test_trials_needed_is_when_a_flawless_gate_decides(mean: float, confidence: float) -> None:
    needed = trials_needed(mean, confidence)
    assert looks_until_decided(itertools.repeat(0.0), mean, confidence) == needed


def test_trials_needed_at_common_limits() -> None:
    assert [trials_needed(mean, 0.95) for mean in (0.5, 0.2, 0.1, 0.05)] == [5, 16, 34, 70]
    assert trials_needed(1e-9, 0.95) > 10**9


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_means_and_confidences_outside_the_open_unit_interval_are_refused(wrong: float) -> None:
    for refused in (
        lambda: MeanTest(wrong, 0.95),
        lambda: MeanTest(0.5, wrong),
        lambda: trials_needed(wrong, 0.95),
        lambda: trials_needed(0.5, wrong),
        lambda: interval([], wrong),
    ):
        with pytest.raises(ValueError, match="must be above 0 and below 1"):
            refused()


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan")])
def test_scores_outside_the_unit_interval_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="score"):
        interval([0.5, wrong], 0.95)


@pytest.mark.parametrize("mean", [0.1, 0.3, 0.5, 0.8])
def test_capital_is_a_martingale_at_a_fair_price(mean: float) -> None:
    def expected(price: float, chance: float) -> float:
        total = 0.0
        for path in itertools.product((0.0, 1.0), repeat=8):
            bet = EProcess(price)
            for payoff in path:
                bet.pay(payoff)
            wins = sum(path)
            total += chance**wins * (1 - chance) ** (8 - wins) * bet.capital
        return total

    assert expected(mean, mean) == pytest.approx(1)
    assert expected(mean, mean / 2) < 1 < expected(mean, mean + 0.1)


# How often the verdict is wrong, looking after every trial, when the mean is exactly at the limit.


def wrong_by(horizon: int, limit: float, stops: Callable[[int, int], bool]) -> float:
    """The chance that yes/no trials with rate ``limit`` stop by ``horizon``, as ``stops(bad, n)`` says."""
    running, stopped = {0: 1.0}, 0.0
    for n in range(1, horizon + 1):
        following: dict[int, float] = {}
        for bad, chance in running.items():
            following[bad] = following.get(bad, 0.0) + chance * (1 - limit)
            following[bad + 1] = following.get(bad + 1, 0.0) + chance * limit
        stopped += sum(chance for bad, chance in following.items() if stops(bad, n))
        running = {bad: chance for bad, chance in following.items() if not stops(bad, n)}
    return stopped


def betting_passes(limit: float) -> Callable[[int, int], bool]:
    def stops(bad: int, n: int) -> bool:
        bet = EProcess(1 - limit)
        for payoff in [0.0] * bad + [1.0] * (n - bad):
            bet.pay(payoff)
        return bet.capital >= 20

    return stops


def exact_bound_passes(limit: float) -> Callable[[int, int], bool]:
    def stops(bad: int, n: int) -> bool:
        tail = sum(math.comb(n, k) * limit**k * (1 - limit) ** (n - k) for k in range(bad + 1))
        return tail <= 0.05

    return stops


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.8])
def test_exactly_computed_an_agent_at_the_limit_passes_in_at_most_one_gate_of_twenty(limit: float) -> None:
    rates = [wrong_by(horizon, limit, betting_passes(limit)) for horizon in (10, 20, 50)]
    assert max(rates) <= 0.05
    if limit == 0.5:
        assert rates[1] > 0.035, "the bound should be nearly used up, or it is blunt"


def test_looking_after_every_trial_with_the_exact_bound_would_not_be_safe() -> None:
    assert wrong_by(20, 0.5, exact_bound_passes(0.5)) > 0.08
    assert wrong_by(100, 0.5, exact_bound_passes(0.5)) > 0.15


AT_THE_LIMIT: dict[str, tuple[float, Callable[[random.Random], float]]] = {
    "yes or no": (0.5, lambda rng: float(rng.random() < 0.5)),
    "rare and total": (0.1, lambda rng: float(rng.random() < 0.1)),
    "uniform": (0.5, lambda rng: rng.random()),
    "two points, 0 and 0.75": (0.5, lambda rng: 0.75 * (rng.random() < 2 / 3)),
    "skewed beta": (0.25, lambda rng: rng.betavariate(0.5, 1.5)),
    "bell-shaped beta": (0.5, lambda rng: rng.betavariate(4, 4)),
    "mostly none, some half, few total": (0.2, lambda rng: rng.choices([0.0, 0.5, 1.0], [0.7, 0.2, 0.1])[0]),
}


@pytest.mark.parametrize("limit_and_draw", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_agents_at_the_limit_are_rarely_called_safe_or_unsafe_whatever_their_scores_look_like(
    limit_and_draw: tuple[float, Callable[[random.Random], float]],
) -> None:
    limit, draw = limit_and_draw
    rng, gates = random.Random(20), 2000
    false_safe, false_alarm = dict.fromkeys((10, 20, 50), 0), dict.fromkeys((10, 20, 50), 0)
    for _ in range(gates):
        low, high = EProcess(1 - limit), EProcess(limit)
        safe = alarm = False
        for n in range(1, 51):
            x = draw(rng)
            low.pay(1 - x)
            high.pay(x)
            safe, alarm = safe or low.capital >= 20, alarm or high.capital >= 20
            if n in false_safe:
                false_safe[n] += safe
                false_alarm[n] += alarm
    # Ville's inequality gives 0.05; four standard errors allow for the finite number of gates.
    slack = 4 * math.sqrt(0.05 * 0.95 / gates)
    assert max(false_safe.values()) / gates <= 0.05 + slack
    assert max(false_alarm.values()) / gates <= 0.05 + slack
