"""Bounds on a mean that hold however often one looks, won by betting against every mean it might have.

Let x_1, x_2, ... be in [0, 1], each with mean mu given those before it. To doubt "mu is at most m", keep
staking a share of one's capital on a claim that costs m and pays x_i: if m is at least mu, no claim is worth
its price, capital is a nonnegative supermartingale that starts at 1, and it ever reaches 1/a with probability
at most a (Ville). To doubt "mu is at least m", bet on 1 - x_i at the price 1 - m. Hence one may look after
every trial and stop when one likes (Waudby-Smith and Ramdas, arXiv 2010.09686; Howard et al., arXiv
1810.08240).

Capital is split once over the shares in ``BETS`` and never moved, and a mixture of supermartingales is one
too. The shares do not depend on m, so each factor 1 - share + share * payoff / price falls as the price
rises. Capital against "at least m" therefore rises with m and capital against "at most m" falls: what is
rejected at m is rejected for all means beyond it, and bounds can be found by bisection. This holds for the
rounded figures as well, because each operation used rounds monotonically, and so bounds and tests agree
exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal

from pytest_selfrep.records import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Side = Literal["below", "above"]
"""Where the mean was shown to lie, seen from the mean that was tested."""

BETS: Final = ((1.0, 0.36), (0.75, 0.49), (0.50, 0.05), (0.25, 0.05), (0.10, 0.05))
"""(share staked on each trial, part of the capital that is staked so); the parts sum to 1.

For scores that are 0 or 1 with mean r m, a share of 1 - r gains most. Staking all wins soonest while no trial
is bad, and the first that is ruins it; 0.75 survives a few. Together they pass 0 bad trials of 5, 1 of 10 and
2 of 14 at m = 0.5 and confidence 0.95 (exact tests that may look once need 5, 8 and 11). The small shares are
for long gates of agents near the limit.
"""

_HALVINGS: Final = 64
"""Enough to reach neighbouring floats for means above 2**-11, and means no smaller than 2**-64."""


class EProcess:
    """The capital, 1 at first, of somebody who bets that claims on [0, 1] are worth more than their price."""

    __slots__ = ("_price", "_stakes")

    def __init__(self, price: float) -> None:
        """``price`` is in (0, 1)."""
        self._price = price
        self._stakes = [part for _, part in BETS]

    def pay(self, payoff: float) -> None:
        """Settle the bets on one claim, whose payoff is in [0, 1]."""
        gain = payoff / self._price
        self._stakes = [
            stake * (1 - share + share * gain) for stake, (share, _) in zip(self._stakes, BETS, strict=True)
        ]

    @property
    def capital(self) -> float:
        """The e-value: at most 1 in expectation if the price is fair or too high."""
        return math.fsum(self._stakes)


class MeanTest:
    """Whether the mean of scores lies below or above one value, asked after every score.

    ``side`` is None until the evidence suffices and then stays as it is: betting ends with the first win. A
    mean at or above ``mean`` is called below, and one at or below it above, with probability at most 1 -
    confidence each.
    """

    __slots__ = ("_above", "_below", "_enough", "_mean", "side")

    def __init__(self, mean: float, confidence: float) -> None:
        """ValueError unless both are in (0, 1)."""
        check_open_unit("the mean to test", mean)
        check_open_unit("confidence", confidence)
        self._mean = mean
        self._enough = 1 / (1 - confidence)
        self._below = EProcess(price=1 - mean)
        self._above = EProcess(price=mean)
        self.side: Side | None = None

    def add(self, score: float) -> None:
        """Take the next score, in trial order; ValueError if it is outside [0, 1]."""
        if not 0 <= score <= 1:
            message = f"a score must be in [0, 1], not {score}"
            raise ValueError(message)
        if self.side is not None:
            return
        # One score moves the two capitals in opposite directions, so both cannot win at once.
        self._below.pay(1 - score)
        self._above.pay(score)
        if self._below.capital >= self._enough:
            self.side = "below"
        elif self._above.capital >= self._enough:
            self.side = "above"


def first_side(scores: Iterable[float], mean: float, confidence: float) -> Side | None:
    """The side of ``mean`` that scores, in trial order, showed first; None if they show neither."""
    test = MeanTest(mean, confidence)
    for score in scores:
        test.add(score)
        if test.side is not None:
            break
    return test.side


def interval(scores: Iterable[float], confidence: float) -> Interval:
    """The means that no look has rejected, from scores in trial order; (0, 1) without scores.

    They are the half-open interval (low, high]: ``high < m`` exactly if ``first_side`` is below m, and ``low
    >= m`` exactly if it is above. Bounds only ever tighten as scores are added. Should early scores and late
    ones contradict each other, the earlier evidence stands and the bounds meet, never cross.
    """
    known = tuple(scores)
    check_open_unit("confidence", confidence)
    return Interval(
        low=_largest(lambda mean: first_side(known, mean, confidence) == "above"),
        high=_largest(lambda mean: first_side(known, mean, confidence) != "below"),
        confidence=confidence,
    )


def trials_needed(mean: float, confidence: float) -> int:
    """The fewest scores, all of them 0, after which the mean is shown to lie below ``mean``.

    Also the fewest, all of them 1, that show it to lie above ``1 - mean``.
    """
    check_open_unit("the mean to test", mean)
    check_open_unit("confidence", confidence)
    enough = 1 / (1 - confidence)
    most = math.ceil(min(math.log(enough / BETS[0][1]) / -math.log1p(-mean) + 1, 1e18))
    gains = [(1 - share + share / (1 - mean), part) for share, part in BETS]
    return bisect_left(range(most), enough, key=lambda n: math.fsum(part * gain**n for gain, part in gains))


def check_open_unit(what: str, value: float) -> None:
    """ValueError unless ``value`` is in (0, 1)."""
    if not 0 < value < 1:
        message = f"{what} must be above 0 and below 1, not {value}"
        raise ValueError(message)


def _largest(holds: Callable[[float], bool]) -> float:
    """The largest float in [0, 1] for which ``holds``, given that it holds for all that are smaller."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
    return 1.0 if high == 1.0 else low
