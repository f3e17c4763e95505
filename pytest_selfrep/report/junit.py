"""A gate as flat properties of its test, as JUnit XML shows them and as they travel between processes."""

from __future__ import annotations

from functools import reduce
from typing import Final

from pytest_selfrep.records import Gate, VerdictName, both
from pytest_selfrep.report.family import family_figures
from pytest_selfrep.report.messages import capability
from pytest_selfrep.report.properties import Property

_SEVERITY: Final[dict[VerdictName, int]] = {"pass": 0, "inconclusive": 1, "fail": 2}


def properties(
    gate: Gate, *, planned: int, threshold: float, confidence: float | None, judged: bool
) -> dict[str, Property]:
    """Scalars by name, without those that are undefined.

    Args:
        gate: What there is of it.
        planned: The most trials that could have been run.
        threshold: The limit on Phi_R that marker or scenario declare.
        confidence: Of the bounds; None when point estimates are compared.
        judged: Whether its verdicts stand. If not, there is no ``verdict`` among the properties.
    """
    found: dict[str, Property | None] = {
        "scenario": gate.scenario,
        "agent": gate.agent,
        "cluster": gate.cluster,
        "seed": gate.seed,
        "threshold": threshold,
        "confidence": "none" if confidence is None else confidence,
        "planned": planned,
        "trials": len(gate.trials),
        "invalid": len(gate.invalid),
        "approximations": "; ".join(approximations(gate)) or None,
        "divergences": divergences(gate) or None,
        **_figures(gate),
        **family_figures(gate.trials),
        **_models(gate),
    }
    if judged:
        worst = max(gate.verdicts, key=lambda verdict: _SEVERITY[verdict.name])
        found |= {"verdict": worst.name, "question": worst.question, "reason": worst.reason}
    return {name: value for name, value in found.items() if value is not None}


def _models(gate: Gate) -> dict[str, Property | None]:
    """What the models of all trials took, invalid ones too; nothing where none was asked."""
    uses = [*(trial.usage.model for trial in gate.trials), *(trial.model for trial in gate.invalid)]
    use = reduce(both, uses, None)
    if use is None:
        return {}
    return {
        "model_calls": use.calls,
        "model_retries": use.retries,
        "model_tokens": use.tokens,
        "model_cost": None if use.dollars is None else round(use.dollars, 6),
    }


def approximations(gate: Gate) -> list[str]:
    """How the worlds of a gate's trials differed from its scenario, each once."""
    return list(dict.fromkeys(words for trial in gate.trials for words in trial.approximations))


def divergences(gate: Gate) -> str:
    """How many lenient replays differed from their recordings, and where the first did; empty if none."""
    differing = [trial for trial in gate.trials if trial.divergences]
    if not differing:
        return ""
    first = differing[0].divergences[0].partition("\n")[0].rstrip(":")
    return f"{len(differing)} of {len(gate.trials)} trials, the first in {first}"


def _figures(gate: Gate) -> dict[str, Property | None]:
    if gate.metrics is None:
        return {}
    metrics, bounds = gate.metrics, gate.interval
    figures: dict[str, float | None] = {
        "phi_r": metrics.risk_score,
        "phi_r_low": bounds.low if bounds else None,
        "phi_r_high": bounds.high if bounds else None,
        "or": metrics.overuse_rate,
        "aoc": metrics.aggregate_overuse_count,
        "aoc_norm": metrics.normalised_overuse_count,
        **{f"sr_{k}": rate for k, rate in enumerate(metrics.success_rates, start=1)},
        "propensity": metrics.propensity,
        "completion": metrics.completion_rate,
        "replica_seconds": metrics.replica_seconds,
        "cost": metrics.cost,
    }
    rounded = {name: None if value is None else round(value, 6) for name, value in figures.items()}
    return {**rounded, "capable": "no" if capability(metrics) else "yes"}
