"""Pure functions from records to figures and verdicts."""
