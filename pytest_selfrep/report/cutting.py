"""Long texts are cut off in one way, by which what masks secrets knows that one may have been cut in two."""

from __future__ import annotations


def cut(text: str, longest: int) -> str:
    """At most so many of its first characters, and a sign where more were."""
    return text if len(text) <= longest else f"{text[:longest]} ..."


def cut_before(text: str, longest: int) -> str:
    """At most so many of its last characters, and a sign where more were."""
    return text if len(text) <= longest else f"... {text[-longest:]}"
