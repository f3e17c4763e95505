"""What images run when a pod names no command, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping

SHELLS: Mapping[str, tuple[str, ...]] = {
    "alpine": ("/bin/sh",),
    "busybox": ("sh",),
    "debian": ("sh",),
    "ubuntu": ("sh",),
}
"""Images that begin with a shell."""
_SERVERS: Mapping[str, tuple[str, ...]] = {
    "httpd": ("httpd-foreground",),
    "nginx": ("nginx: master process nginx -g daemon off;",),
    "pause": ("/pause",),
    "postgres": ("postgres",),
    "redis": ("redis-server *:6379",),
}
PORTS: Mapping[str, int] = {"httpd": 80, "nginx": 80}
"""Ports on which images listen without anybody saying so."""


def base_name(image: str) -> str:
    """``nginx`` for ``docker.io/library/nginx:1.27@sha256:...``."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def entrypoint(image: str, container: str) -> list[str]:
    """The command of an image. Those that are not known have a program named like the container."""
    name = base_name(image)
    known = SHELLS.get(name) or _SERVERS.get(name)
    return list(known) if known else [f"/app/{container}"]
