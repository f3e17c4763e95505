"""Trials: one run of one agent in one scenario, from its world to its record."""
