"""Which Kubernetes the server is."""

from __future__ import annotations

from typing import Final

from pytest_selfrep.kubesim.objects import Object

VERSION: Final[Object] = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4",
    "gitCommit": "59526cd4867447956156ae3a602fcbac10a2c335",
    "gitTreeState": "clean",
    "buildDate": "2025-04-22T15:59:07Z",
    "goVersion": "go1.23.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
"""What ``/version`` answers."""
