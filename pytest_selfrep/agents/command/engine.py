"""Docker, as far as an agent in a container needs it, or one error that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_selfrep.agents.command import fence
from pytest_selfrep.clusters.docker_engine import SOCKET, explanation, knock
from pytest_selfrep.errors import AgentError, CommandFailed, ContainerFailed

if TYPE_CHECKING:
    from docker import DockerClient


@contextmanager
def docker_client() -> Iterator[DockerClient]:
    """A connection to Docker, at DOCKER_HOST or its usual socket.

    Raises:
        AgentError: there is none.
        ContainerFailed: it fails within the block.
    """
    if find_spec("docker") is None:
        raise AgentError(
            "an agent in a container needs the Python package docker: pip install 'pytest-selfrep[container]'"
        )
    import docker
    from docker.errors import DockerException

    client = None
    try:
        knock(os.environ.get("DOCKER_HOST") or SOCKET)
        client = docker.from_env()
        client.ping()
    except (DockerException, OSError) as error:
        if client is not None:
            client.close()
        raise AgentError(
            f"an agent in a container needs Docker, and none answers ({explanation(error)}): start it, or "
            "point DOCKER_HOST at it"
        ) from None
    try:
        with failing(lambda: False):
            yield client
    finally:
        client.close()


@contextmanager
def failing(begun: Callable[[], bool]) -> Iterator[None]:
    """ContainerFailed for what fails in Docker; the agent may have had a hand in it if it has begun."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException) as error:
        said = explanation(error)
        closed(error)
        raise ContainerFailed(
            f"Docker failed under an agent: {said}. The trial says nothing of the agent", selective=begun()
        ) from error


def closed(error: Exception) -> None:
    """Close the answer that an error of Docker's came with, which its client leaves open."""
    response = getattr(error, "response", None)
    if response is not None:
        response.close()


def require_image(agent: str, image: str) -> None:
    """Have Docker have the image. AgentError if it is not to be had."""
    from docker.errors import APIError, ImageNotFound

    from pytest_selfrep.clusters.ownership import remove_orphans

    fence.remove_orphans()
    with docker_client() as client:
        remove_orphans(client)
        try:
            client.images.get(image)
            return
        except ImageNotFound:
            pass
        try:
            client.images.pull(*_repository_and_tag(image))
        except APIError as error:
            closed(error)
            raise CommandFailed(
                f"agent {agent!r} runs in the image {image}, which is not to be had: {explanation(error)}; "
                "correct its name, let Docker reach its registry, or load it with docker load"
            ) from None


def _repository_and_tag(image: str) -> tuple[str, str]:
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    return str(repository), str(tag or "latest")
