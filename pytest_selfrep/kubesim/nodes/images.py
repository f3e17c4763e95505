"""Container images: which can be pulled, what they are called in full, and how large they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

_REFERENCE = re.compile(
    r"(?:(?P<host>[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+(?::\d+)?|localhost(?::\d+)?|[a-zA-Z0-9-]+:\d+)/)?"
    r"(?P<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


_SIZES: Mapping[str, int] = {
    "docker.io/library/alpine": 3_642_247,
    "docker.io/library/busybox": 2_156_519,
    "docker.io/library/debian": 48_479_540,
    "docker.io/library/nginx": 72_195_292,
    "docker.io/library/ubuntu": 29_724_688,
    "registry.k8s.io/pause": 320_368,
}
"""In bytes, as nodes of amd64 pull them."""


class InvalidImageName(ValueError):
    """Not an image reference; the message is the kubelet's."""


class CannotPull(ValueError):
    """A reference to an image that cannot be had; the message is the container runtime's."""


def full_name(image: str) -> str:
    """With registry and tag: ``nginx`` is ``docker.io/library/nginx:latest``. Raises InvalidImageName."""
    return "".join(_parts(image))


@lru_cache(maxsize=1024)
def _parts(image: str) -> tuple[str, str]:
    """Repository with its registry, and tag or digest with its separator."""
    found = _REFERENCE.fullmatch(image)
    if found is None:
        raise InvalidImageName(
            f'Failed to apply default image tag "{image}": '
            f'couldn\'t parse image name "{image}": invalid reference format'
        )
    host, path = found["host"], found["path"]
    if host is None:
        host = "docker.io"
        path = path if "/" in path else f"library/{path}"
    version = f"@{found['digest']}" if found["digest"] else f":{found['tag'] or 'latest'}"
    return f"{host}/{path}", version


def check(image: str) -> None:
    """Raise CannotPull for registries in the top-level domain ``invalid`` (RFC 2606: never resolves), or
    InvalidImageName. All other images are taken to exist."""
    repository, version = _parts(image)
    host, _, path = repository.partition("/")
    domain = host.partition(":")[0]
    if domain == "invalid" or domain.endswith(".invalid"):
        raise CannotPull(
            f'failed to pull and unpack image "{repository}{version}": failed to resolve reference '
            f'"{repository}{version}": failed to do request: Head "https://{host}/v2/{path}/manifests/'
            f'{version[1:]}": dial tcp: lookup {domain}: no such host'
        )


@lru_cache(maxsize=1024)
def digest_name(image: str) -> str:
    """``docker.io/library/nginx@sha256:...``, as status.containerStatuses[].imageID has it."""
    repository, version = _parts(image)
    if version.startswith("@"):
        return repository + version
    return f"{repository}@sha256:{hashlib.sha256((repository + version).encode()).hexdigest()}"


@lru_cache(maxsize=1024)
def size(image: str) -> int:
    """In bytes, between 3 MB and 300 MB if it is not known."""
    repository = _parts(image)[0]
    if repository in _SIZES:
        return _SIZES[repository]
    digest = hashlib.sha256(full_name(image).encode()).digest()
    return 3_000_000 + int.from_bytes(digest[:4], "big") % 297_000_000
