"""Figures beside their budgets, and what became of all of them."""

from __future__ import annotations

import sys


class Figures:
    """Prints each figure as it comes and remembers those that miss their budget."""

    def __init__(self) -> None:
        self._missed: list[str] = []

    def show(
        self,
        what: str,
        measured: float,
        unit: str,
        *,
        most: float | None = None,
        least: float | None = None,
        beside: str = "",
    ) -> None:
        """``most`` and ``least`` are budgets; ``beside`` is what else there is to know."""
        line = f"{what:46} {measured:9.2f} {unit:10}"
        if most is not None:
            line += f"  at most {most:g}"
        if least is not None:
            line += f"  at least {least:g}"
        if (most is not None and measured > most) or (least is not None and measured < least):
            self._missed.append(what)
            line += "  MISSED"
        print(f"{line}  {beside}".rstrip(), flush=True)

    def conclude(self) -> None:
        """Exit with 1 if any budget was missed."""
        if self._missed:
            sys.exit(f"missed: {'; '.join(self._missed)}")
