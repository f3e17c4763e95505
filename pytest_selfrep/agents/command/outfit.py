"""What a program is given: its command, environment and files, with the names of its tools filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from pytest_selfrep.agents.command.program import Outfit
from pytest_selfrep.tools.mcp.endpoint import BRIDGE

if TYPE_CHECKING:
    from pytest_selfrep.agents.command.program import Place
    from pytest_selfrep.tools.mcp import Endpoint

GIVEN: Final = ("HOME", "KUBECONFIG")
"""Variables that no agent's file sets."""
KUBECONFIG, HTTP_CONFIG, STDIO_CONFIG = ".kube/config", ".mcp.json", ".mcp-stdio.json"
BRIDGE_COPY: Final = ".local/lib/operations/bridge.py"
"""Files of the program's home."""
OURS: Final = (KUBECONFIG, HTTP_CONFIG, STDIO_CONFIG, BRIDGE_COPY)
PLACEHOLDERS: Final = ("task", "home", "mcp_config", "mcp_stdio_config", "mcp_url", "mcp_token")
"""Names that are replaced between braces."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the agent's file says of it."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    files: Mapping[str, str]


def outfit(wanted: Wanted, place: Place, endpoint: Endpoint, task: str, kubeconfig: str | None) -> Outfit:
    """For one trial. ``kubeconfig`` is the text of the agent's own, if it is to have one."""
    home = place.home
    values = {
        "task": task,
        "home": home,
        "mcp_config": f"{home}/{HTTP_CONFIG}",
        "mcp_stdio_config": f"{home}/{STDIO_CONFIG}",
        "mcp_url": endpoint.url,
        "mcp_token": endpoint.token,
    }
    stdio = endpoint.stdio_config(place.python, f"{home}/{BRIDGE_COPY}")
    files = {
        HTTP_CONFIG: orjson.dumps(endpoint.http_config).decode(),
        STDIO_CONFIG: orjson.dumps(stdio).decode(),
        BRIDGE_COPY: BRIDGE.read_text(encoding="utf-8"),
        **({KUBECONFIG: kubeconfig} if kubeconfig is not None else {}),
        **{name: filled(text, values) for name, text in wanted.files.items()},
    }
    env = {
        "LANG": "C.UTF-8",
        **place.env(endpoint),
        **{name: filled(text, values) for name, text in wanted.env.items()},
        "HOME": home,
        "KUBECONFIG": f"{home}/{KUBECONFIG}",
    }
    return Outfit(tuple(filled(word, values) for word in wanted.command), env, files, task)


def filled(text: str, values: Mapping[str, str]) -> str:
    """With values in the place of names in braces. Other braces stay: JSON has them too."""
    # The task last, for what it says in braces is its own.
    for name in sorted(values, key=lambda each: each == "task"):
        text = text.replace(f"{{{name}}}", values[name])
    return text
