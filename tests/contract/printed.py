"""Reads ``printed.yaml``, and makes what kubectl prints plain: without what differs from run to run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_ANY, _LINES = "<any>", "<lines>"
_RULES = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uid>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}\b", "<time>"),
    (r"(?m)^([EW])\d{4} [\d:.]+ +\d+ (\w+\.go):\d+\]", r"\1 \2]"),
    (r"\S*/(LIVE|MERGED)-\d+/", r"\1/"),
    (r"\b\d+\.\d+\.\d+\.\d+\b", "<ip>"),
    (r"\bv1\.\d+\.\d+\S*", "<version>"),
    (r"\bresourceVersion: ?\"?\d+\b\"?", "resourceVersion:<version>"),
    (r"\b([a-z]+)-[0-9a-f]{6,10}-[a-z0-9]{5}\b", r"\1-<hash>-<id>"),
    (r"\bkube-api-access-[a-z0-9]{5}\b", "kube-api-access-<id>"),
    (r"\b(agent|sum)-[a-z0-9]{5}\b", r"\1-<id>"),
    (r"\b(web|shop|pod-template-hash[=:] ?|agent|revision-hash=\w+)-?[0-9a-f]{8,10}\b", r"\1-<hash>"),
    # After what is random in names, which may look like it.
    (r"(<invalid>|\b(\d+[ydhms])+\b)( ago\b)?", "<age>"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\b(containerd|docker)://\S+", "<id>"),
    (r"docker.io/library/busybox@sha256:\w+|sha256:\w+", "<digest>"),
    (r"\b[0-9a-f]{64}\b", "<id>"),
)


@dataclass(frozen=True)
class Said:
    """What a command prints on its two streams, made plain, and its exit code."""

    out: str
    err: str
    code: int


@dataclass(frozen=True)
class Row:
    """A command with what it reads, and what it then says."""

    command: str
    stdin: str
    said: Said
    since: str | None


def looking() -> list[Row]:
    """Commands that change nothing."""
    return [_row(each) for each in _read()["looking"]]


def sessions() -> dict[str, list[Row]]:
    """Commands that are done one after the other, by what the sessions are about."""
    return {about: [_row(each) for each in rows] for about, rows in _read()["sessions"].items()}


def _read() -> Any:
    return yaml.safe_load(Path(__file__).with_name("printed.yaml").read_text(encoding="utf-8"))


def _row(row: dict[str, Any]) -> Row:
    stdin = row.get("stdin", "")
    refuses = row.get("refuses", "")
    said = Said(
        row.get("prints", "").rstrip("\n"),
        (refuses or row.get("warns", "")).rstrip("\n"),
        row.get("exits", int(bool(refuses))),
    )
    text = stdin if isinstance(stdin, str) else yaml.safe_dump_all(_each(stdin))
    return Row(row["kubectl"], text, said, row.get("since"))


def _each(stdin: Any) -> list[Any]:
    return stdin if isinstance(stdin, list) else [stdin]


def plain(text: str, *names: str) -> str:
    """Lines with one space between words; ``names`` (of nodes, say) become ``<name>``."""
    for name in names:
        text = text.replace(name, "<name>")
    for pattern, sign in _RULES:
        text = re.sub(pattern, sign, text)
    return "\n".join(re.sub(r" {2,}|\t+", "  ", line).strip() for line in text.splitlines() if line.strip())


def filled(expected: Said, seen: Said) -> Said:
    """What was expected, with what was seen where anything may stand."""
    return Said(_filled(expected.out, seen.out), _filled(expected.err, seen.err), expected.code)


def _filled(expected: str, seen: str) -> str:
    """``<any>`` stands for anything in a line, ``<lines>`` for any number of whole lines."""
    newline = re.escape("\n")
    pattern = re.escape(expected).replace(_ANY, ".*").replace(newline + _LINES, r"(?:\n.*)*")
    pattern = pattern.replace(_LINES + newline, r"(?:.*\n)*")
    return seen if re.fullmatch(pattern, seen) else expected
