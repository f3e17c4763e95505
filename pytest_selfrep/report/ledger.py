"""What came of each gate of a run, put together from the reports of its test, in whichever process it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_selfrep.report.properties import detached

if TYPE_CHECKING:
    import pytest

PHASES: Final = ("setup", "call", "teardown")


@dataclass(slots=True)
class Entry:
    """One gate."""

    gate: str
    """The test's node id."""
    properties: Mapping[str, object] = field(default_factory=dict)
    """As of its latest report, by name."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """``passed``, ``failed`` or ``skipped`` by phase of the test."""

    @property
    def test(self) -> str:
        """The node id without the agent it is parametrised by."""
        return self.gate.removesuffix(f"[{self.properties.get('agent')}]")

    @property
    def verdict(self) -> str:
        """``pass``, ``fail`` or ``inconclusive``; else ``skipped`` or ``no verdict``."""
        found = self.properties.get("verdict")
        if "failed" in (self.outcomes.get("setup"), self.outcomes.get("crash")) or found is None:
            return "skipped" if "skipped" in self.outcomes.values() else "no verdict"
        return str(found)

    @property
    def passed_unjudged(self) -> bool:
        """Whether nothing reported a failure although there is no verdict to rest a pass on."""
        return self.verdict == "no verdict" and "failed" not in self.outcomes.values()


class Ledger:
    """Collects the reports of a run; a plugin of the process that shows them to the user."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self.lost: list[str] = []
        """Why there may be gates in the run that are no entries."""
        self.unwritten = ""
        """Why the end of the run is not in the journal; empty if it is, or is still to come."""

    @property
    def entries(self) -> list[Entry]:
        """All gates, in an order that does not depend on how the run was spread."""
        return sorted(
            self._entries.values(),
            key=lambda one: (one.test, str(one.properties.get("agent")), one.gate),
        )

    @property
    def unjudged(self) -> list[Entry]:
        """Gates that would count as passed by mistake."""
        return [entry for entry in self.entries if entry.passed_unjudged]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = detached(report.user_properties)
        crashed = report.when not in PHASES
        if crashed:
            self.lost.append(f"{report.nodeid} was lost with its worker")
        if not found and report.nodeid not in self._entries:
            return
        entry = self._entries.setdefault(report.nodeid, Entry(report.nodeid))
        # What was there in one phase and not in the next was lost on the way, and must not be trusted.
        entry.properties = found or {
            name: value for name, value in entry.properties.items() if name != "verdict"
        }
        # The report of a test whose worker crashed has a phase of its own, written "???".
        entry.outcomes["crash" if crashed else str(report.when)] = report.outcome

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.lost.append(f"{report.nodeid} could not be collected")
