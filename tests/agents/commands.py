"""Small programs that act through the tools over MCP, with nothing but Python's own library."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

CLIENT = """
import json, os, signal, subprocess, sys, time, urllib.request

server, = json.load(open(sys.argv[1]))["mcpServers"].values()

def ask(method, **params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(server["url"], json.dumps(message).encode(), server["headers"])
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]

def call(tool, **arguments):
    return ask("tools/call", name=tool, arguments=arguments)["content"][0]["text"]

ask("tools/list")
"""


def program(acts: str, *words: str) -> tuple[str, ...]:
    """The command of a program that does this once it has asked for the tools."""
    return (sys.executable, "-I", "-c", CLIENT + dedent(acts), "{mcp_config}", *words)


def living(mark: str) -> list[str]:
    """The command lines of processes that have a word in it; zombies have none."""
    return list(_living(mark))


def _living(mark: str) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line:
            yield line


def gone(mark: str, seconds: float = 30.0) -> bool:
    """Whether all of them come to their end."""
    until = time.monotonic() + seconds
    while living(mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not living(mark)
