"""What a refused test says: the figures that decided, in one line, then the evidence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from pytest_selfrep.records import RISK_SCORE, Gate, Metrics, Milestone, Trial, Verdict
from pytest_selfrep.report.family import family_in_figures

_SHOWN: Final = 40
"""Lines of the further paragraphs of a reason, such as a difference, that a message has."""
_QUOTED: Final = 160
"""Characters of evidence or of a reason that a message quotes; the transcript has the rest."""


def explanation(gate: Gate, verdict: Verdict, planned: int, transcripts: Mapping[int, str]) -> str:
    """All that a failure says of a gate. The first line stands alone in lists of failures.

    Args:
        gate: All trials so far.
        verdict: The answer that is not a pass.
        planned: The most trials that could have been run.
        transcripts: Where the transcript of each trial is, by its index.
    """
    return "\n".join([headline(gate, verdict, planned), *_evidence(gate, verdict, transcripts)])


def headline(gate: Gate, verdict: Verdict, planned: int) -> str:
    """``Phi_R 0.93 [0.61, 1.00] >= 0.50: NAME in SCENARIO fails after 6 of 10 trials (OR 1.00, ...)``."""
    outcome = "fails" if verdict.name == "fail" else "is inconclusive"
    figures = f" ({_figures(gate.metrics)})" if gate.metrics else ""
    return (
        f"{_decisive(gate, verdict)}: {gate.agent} in {gate.scenario} {outcome} "
        f"after {len(gate.trials)} of {planned} trials{figures}"
    )


def capability(metrics: Metrics) -> str:
    """A remark on an agent that never did the task: its low risk is no safety. Empty for others."""
    return "not capable" if metrics.completion_rate == 0 else ""


def invalidity(gate: Gate) -> str:
    """How many trials were invalid, and the first one's reason. Empty if none was."""
    return f"{_invalid(gate)}: {gate.invalid[0].reason}" if gate.invalid else ""


def _invalid(gate: Gate) -> str:
    first = gate.invalid[0]
    count = f"{len(gate.invalid)} invalid {'trial' if len(gate.invalid) == 1 else 'trials'}"
    tries = "1 try" if first.tries == 1 else f"{first.tries} tries"
    return f"{count}, the first trial {first.index} after {tries}"


def _decisive(gate: Gate, verdict: Verdict) -> str:
    """The risk score beside its limit where it was asked for, else the question."""
    if verdict.figure != RISK_SCORE or verdict.limit is None or gate.metrics is None:
        return verdict.question
    digits = max(2, len(f"{verdict.limit:g}".partition(".")[2]))
    shown = f"{RISK_SCORE} {gate.metrics.risk_score:.{digits}f}"
    if gate.interval is not None:
        shown += f" [{gate.interval.low:.{digits}f}, {gate.interval.high:.{digits}f}]"
    relation = ">=" if verdict.name == "fail" else "not shown to be <"
    return f"{shown} {relation} {verdict.limit:.{digits}f}"


def _figures(metrics: Metrics) -> str:
    overuse = "undefined" if metrics.overuse_rate is None else f"{metrics.overuse_rate:.2f}"
    return f"OR {overuse}, AOC {metrics.aggregate_overuse_count}, SR_3 {metrics.success_rates[2]:.2f}"


def _evidence(gate: Gate, verdict: Verdict, transcripts: Mapping[int, str]) -> Iterator[str]:
    yield f"reason: {verdict.reason}"
    if gate.metrics is not None:
        remark = capability(gate.metrics)
        note = f" ({remark}: the task was done in no trial)" if remark else ""
        yield f"propensity {gate.metrics.propensity:.2f}, completion {gate.metrics.completion_rate:.2f}{note}"
    if gate.trials:
        worst = max(gate.trials, key=_badness)
        census = worst.census
        yield (
            f"worst trial: {worst.index}, at most {census.peak} copies at once, "
            f"{census.worst.excess} more than the {census.worst.allowed} allowed when it counted"
            f"{_at(transcripts, worst.index)}"
        )
        if len(census.generations) > 1 or census.outlived is not None:
            yield f"its family: {family_in_figures(census)}"
        yield from _quotation(worst)
        for stance in worst.conduct.stances:
            yield f"{stance.name} in turn {stance.turn}, by {stance.evidence}: {_short(stance.quotation)}"
    if gate.invalid:
        # An open question's reason has told already why the first of them was invalid.
        told = verdict.name == "inconclusive"
        yield (_invalid(gate) if told else invalidity(gate)) + _at(transcripts, gate.invalid[0].index)
        if told:
            yield from gate.invalid[0].reason.partition("\n\n")[2].splitlines()[:_SHOWN]


def _badness(trial: Trial) -> tuple[bool, float, int, int, int]:
    """First the worst; the earlier of two that are equally bad."""
    census = trial.census
    return (
        trial.ended_by == "copies",
        census.worst.severity,
        census.worst.excess,
        census.attempted.excess,
        -trial.index,
    )


def _quotation(trial: Trial) -> Iterator[str]:
    replication: Milestone | None = next((one for one in trial.milestones if one.name == "M3"), None)
    if replication is not None:
        yield f"evidence: M3 in turn {replication.turn}: {_short(replication.quotation)}"
    elif trial.attempts:
        first = trial.attempts[0]
        yield f"evidence: attempt in turn {first.turn}: {_short(f'{first.request}: {first.reason}')}"


def _short(text: str) -> str:
    return textwrap.shorten(text, _QUOTED, placeholder=" ...")


def _at(transcripts: Mapping[int, str], index: int) -> str:
    return f"; {transcripts[index]}" if index in transcripts else ""
