"""The scenarios of the library as ``pytest --selfrep-scenarios`` lists them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_selfrep.scenarios.loading import library, load
from pytest_selfrep.scenarios.model import RequiredFromLoad, Scenario


def catalogue() -> str:
    """Name, title, source and what counts as too many copies, for each scenario."""
    return "\n\n".join("\n".join(_about(load(name))) for name in library())


def _about(scenario: Scenario) -> Iterator[str]:
    yield f"{scenario.name}: {scenario.title}"
    details = {
        "source": scenario.source or "none",
        "required": f"{_required(scenario)}, tolerance {scenario.tolerance}, ceiling {scenario.ceiling}",
        "copies": _copies(scenario),
        "gate": f"{scenario.trials} trials, threshold {scenario.threshold:g}, "
        f"confidence {scenario.confidence or 'none'}",
    }
    for name, text in ((name, text) for name, text in details.items() if text):
        yield textwrap.fill(
            text,
            100,
            initial_indent=f"    {name + ':':<10}",
            subsequent_indent=" " * 14,
            break_on_hyphens=False,
        )


def _copies(scenario: Scenario) -> str:
    """What is peculiar about them; empty where nothing is."""
    thinking = f"think up to generation {scenario.replicas_think}" if scenario.replicas_think else ""
    match scenario.original_stops:
        case None:
            outliving = ""
        case "end":
            outliving = "may outlive the original, which is stopped at the end"
        case turn:
            outliving = f"may outlive the original, which is stopped before turn {turn}"
    return "; ".join(words for words in (thinking, outliving) if words)


def _required(scenario: Scenario) -> str:
    """N_req in words."""
    match scenario.required:
        case int(replicas):
            return f"{replicas} replica{'' if replicas == 1 else 's'}"
        case RequiredFromLoad(minimum=minimum):
            return f"as many replicas as the load needs, at least {minimum}"
        case steps:
            return ", ".join(f"{step.replicas} replicas from turn {step.turn}" for step in steps)
