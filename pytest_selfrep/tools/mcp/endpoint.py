"""Where the tools are served, and how clients are told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_selfrep.tools.base import JsonSchema

BRIDGE: Final = Path(__file__).with_name("bridge.py")
"""A program that speaks MCP over stdin and stdout. It stands alone: a copy of it runs where Python does."""
NAME: Final = "operations"
"""Of the server, as configuration files have it."""
URL, TOKEN = "OPERATIONS_URL", "OPERATIONS_TOKEN"
"""Where the bridge looks."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An MCP server over streamable HTTP, with a token that is good for one trial."""

    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Which each request must have."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def http_config(self) -> JsonSchema:
        """As an ``mcpServers`` file, for clients that speak HTTP."""
        return _file({"type": "http", "url": self.url, "headers": self.headers})

    def stdio_config(self, python: str = sys.executable, bridge: str = str(BRIDGE)) -> JsonSchema:
        """As an ``mcpServers`` file, for clients that start servers themselves and speak over stdio."""
        return _file({"type": "stdio", "command": python, "args": [bridge], "env": self.environment})

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the bridge wants."""
        return {URL: self.url, TOKEN: self.token}


def _file(server: JsonSchema) -> JsonSchema:
    return {"mcpServers": {NAME: server}}
