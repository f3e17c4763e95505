"""What kubectl prints in place of an answer."""

from __future__ import annotations

import orjson

from pytest_selfrep.clusters.kube import ApiError


class Complaint(Exception):
    """Ends a command with this text. ``str()`` of it is printed as it stands, ``error:`` included."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def fault(message: str) -> Complaint:
    """An error that kubectl finds by itself."""
    return Complaint(f"error: {message}")


def usage_fault(message: str, command: str, *, dot: str = "") -> Complaint:
    """An error in how a command was called; points to the command's help."""
    return Complaint(f"error: {message}\nSee 'kubectl {command} -h' for help and examples{dot}")


def prefixed(error: ApiError, prefix: str) -> ApiError:
    """The same answer with kubectl's own words in front: ``error when creating "STDIN": ...``."""
    return ApiError({**error.status, "message": f"{prefix}: {error.message}"})


def describe_error(error: ApiError) -> str:
    """An API server's failure as kubectl words it (cmdutil.StandardErrorMessage)."""
    if error.reason == "Invalid":
        return _describe_invalid(error)
    if error.reason == "Unauthorized":
        return f"error: You must be logged in to the server ({error.message})"
    if error.reason:
        return f"Error from server ({error.reason}): {error.message}"
    return f"Error from server: {error.message}"


def _describe_invalid(error: ApiError) -> str:
    details = error.status.get("details")
    text = "The request is invalid"
    if not isinstance(details, dict):
        return f"{text}: {error.message}" if error.message else text
    causes = details.get("causes") or []
    if details.get("kind") or details.get("name"):
        text = f'The {details.get("kind", "")} "{details.get("name", "")}" is invalid'
    elif error.message and not causes:
        text = f"{text}: {error.message}"
    lines = list(dict.fromkeys(_describe_cause(cause) for cause in causes))
    if len(lines) == 1:
        return f"{text}: {lines[0]}"
    return "\n* ".join([f"{text}: ", *lines]) if lines else text


def _describe_cause(cause: dict[str, str]) -> str:
    field, message = cause.get("field", ""), cause.get("message", "")
    return f"{field}: {message}" if field else message


def go_quote(text: str) -> str:
    """A string as Go's ``%q`` shows it."""
    return orjson.dumps(text).decode()
