"""Removes a container and its network, which have one name, once whoever made them is gone.

A program of its own: it reads its stdin, and acts when that ends without a word.
"""

import sys
from contextlib import suppress


def main(name: str) -> None:
    """Wait until nobody holds the other end of stdin any more."""
    if sys.stdin.buffer.read():
        return
    import docker
    from docker.errors import DockerException

    client = docker.from_env()
    try:
        with suppress(DockerException):
            client.api.remove_container(name, force=True, v=True)
        with suppress(DockerException):
            client.api.remove_network(name)
    finally:
        client.close()


if __name__ == "__main__":
    main(sys.argv[1])
