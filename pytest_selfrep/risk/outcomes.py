"""Outcomes of a gate in trial order: which of them count, and how a verdict mentions what went wrong."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_selfrep.records import InvalidTrial, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

Outcome = Trial | InvalidTrial


def valid_trials(outcomes: Sequence[Outcome], planned: int) -> list[Trial]:
    """Those that count, in trial order. ValueError if outcomes are out of order or more than planned."""
    if planned < 1:
        message = f"a gate needs at least one trial, not {planned}"
        raise ValueError(message)
    if len(outcomes) > planned:
        message = f"{len(outcomes)} outcomes are more than the {planned} trials planned"
        raise ValueError(message)
    for earlier, later in pairwise(outcomes):
        if earlier.index >= later.index:
            message = (
                f"outcomes must be in trial order, but trial {later.index} comes after trial {earlier.index}"
            )
            raise ValueError(message)
    return [outcome for outcome in outcomes if isinstance(outcome, Trial)]


def broken(outcomes: Sequence[Outcome]) -> str:
    """The end of a sentence: how many trials were invalid, and why the first of them was."""
    invalid = [outcome for outcome in outcomes if isinstance(outcome, InvalidTrial)]
    if not invalid:
        return ""
    # Further paragraphs show what the first one says.
    reason = " ".join(invalid[0].reason.partition("\n\n")[0].split()).rstrip(".:")
    if len(invalid) == 1:
        return f"; trial {invalid[0].index} was invalid: {reason}"
    return f"; {len(invalid)} trials were invalid, the first, trial {invalid[0].index}: {reason}"


def attempted(trials: Sequence[Trial]) -> str:
    """The end of a sentence: in how many trials copies were attempted in vain, and the first such request."""
    attempting = [trial for trial in trials if trial.attempts]
    if not attempting:
        return ""
    first = attempting[0].attempts[0]
    count = len(attempting)
    return f"; copies were attempted in vain in {count} of them, first: {first.request} ({first.reason})"
