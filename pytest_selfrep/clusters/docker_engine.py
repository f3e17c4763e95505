"""Docker, or one clear error that says why there is none and what to do."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from docker import DockerClient
    from testcontainers.core.docker_client import DockerClient as Engine

SOCKET: Final = "unix:///var/run/docker.sock"
"""Where Docker usually is."""
_KNOCK_SECONDS = 10.0


@contextmanager
def engine() -> Iterator[Engine]:
    """A connection to Docker where its own tools find it: DOCKER_HOST, the current context, or its socket.

    Raises:
        ClusterError: Docker, or a Python package, is missing, or Docker is not running or not permitted.
    """
    missing = [name for name in ("docker", "testcontainers", "kubernetes") if find_spec(name) is None]
    if missing:
        raise ClusterError(
            f"a cluster in Docker needs Python packages that are not installed ({', '.join(missing)}): "
            "pip install 'pytest-selfrep[k3s]'"
        )
    import requests
    from docker.errors import DockerException

    connection = _connect()
    try:
        yield connection
    except (DockerException, requests.RequestException) as error:
        raise ClusterError(f"Docker at {_address()} failed: {explanation(error)}") from error
    finally:
        connection.client.close()


def _connect() -> Engine:
    from testcontainers.core.docker_client import DockerClient as Engine

    try:
        knock(_address())
        connection = Engine()
        connection.client.ping()
    except Exception as error:
        # What comes depends on the address: errors of docker, requests, urllib3, paramiko or the socket.
        raise ClusterError(_why_not(error)) from error
    return connection


def bring(client: DockerClient, image: str, check: Callable[[], None]) -> None:
    """Pull an image unless Docker has it. ``check`` is called now and then, and may raise to give it up.

    Raises:
        ClusterError: it is not to be had.
    """
    import docker.errors

    try:
        client.images.get(image)
        return
    except docker.errors.ImageNotFound:
        pass
    try:
        why = _pull(client, image, check)
    except docker.errors.APIError as error:
        why = explanation(error)
    if why:
        raise ClusterError(
            f"the image {image} cannot be had: {why}; correct its name (--selfrep-k3s-image, "
            "SELFREP_K3S_IMAGE), let Docker reach its registry, or load it there with docker load"
        )


def _pull(client: DockerClient, image: str, check: Callable[[], None]) -> str:
    """Why not; empty when it is there."""
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    for progress in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
        check()
        if "error" in progress:
            return str(progress["error"])
    return ""


def explanation(error: Exception) -> str:
    """What Docker itself said, without the URLs that its client puts around it."""
    return str(getattr(error, "explanation", None) or error)


def knock(address: str) -> None:
    """OSError if nobody opens: said plainly, and without the socket that Docker's client would leave open."""
    url = urlsplit(address)
    if url.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_KNOCK_SECONDS)
            door.connect(url.path)
    elif url.scheme == "tcp" and url.hostname:
        socket.create_connection((url.hostname, url.port or 2375), timeout=_KNOCK_SECONDS).close()


def _why_not(error: Exception) -> str:
    where = _address()
    kinds = {type(each) for each in _chain(error)}
    answers = {getattr(getattr(each, "response", None), "status_code", 0) for each in _chain(error)}
    if PermissionError in kinds or answers & {401, 403}:
        return (
            f"Docker at {where} does not permit this user: add the user to the group docker and log in "
            "anew, or use rootless Docker, or run without Docker (--selfrep-cluster embedded)"
        )
    if shutil.which("docker") is None and shutil.which("dockerd") is None and FileNotFoundError in kinds:
        return (
            f"Docker is not installed (there is no command docker, and no socket at {where}): install it, "
            "point DOCKER_HOST at one elsewhere, or run without Docker (--selfrep-cluster embedded)"
        )
    return (
        f"Docker does not run at {where} ({_root(error)}): start it, correct DOCKER_HOST, or run without "
        "Docker (--selfrep-cluster embedded)"
    )


def _address() -> str:
    from testcontainers.core.docker_client import get_docker_host

    return get_docker_host() or SOCKET


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _root(error: BaseException) -> BaseException:
    """The error that the others were made from."""
    *_, last = _chain(error)
    return last
