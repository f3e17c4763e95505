"""Requests: from a path and a body to what is done and answered."""
