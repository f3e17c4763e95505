"""What lies where in the folder of a run."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = 1
"""Version of the lines of both journals; grows when a reader of older ones would misread a line."""

TRIALS: Final = "trials.jsonl"
GATES: Final = "gates.jsonl"
TRANSCRIPTS: Final = "transcripts"
RECORDINGS: Final = "recordings"
RUN: Final = "run.json"
"""Names the run that the folder belongs to; its presence says that the others are ours to replace."""
