"""A program in a container, on a network of its own that leads to its tools and its model's API alone."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_selfrep.agents.command import reaper
from pytest_selfrep.agents.command.engine import closed, docker_client, failing
from pytest_selfrep.agents.command.fence import bridge_of, fenced
from pytest_selfrep.agents.command.program import Ending, Outfit, Piece, Program
from pytest_selfrep.agents.command.proxy import Proxy, proxy
from pytest_selfrep.clusters.docker_engine import explanation
from pytest_selfrep.clusters.ownership import this_process
from pytest_selfrep.errors import AgentError, CommandFailed, ContainerFailed

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

    from pytest_selfrep.tools.mcp import Endpoint

HOME: Final = "/home/agent"
MOST_PROCESSES: Final = 256
MEMORY: Final = "4g"
CPUS: Final = 2
SCRATCH: Final = "1g"
"""Of its /tmp and of each volume that its image declares, which are memory of its own."""
MOST_WRITTEN: Final = 8 << 30
"""Bytes on disk. Few storage drivers of Docker's can be told of a bound."""
LENT: Final = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Files of Docker's on this machine that it may write to, beside what is its container's own."""
MEASURE_SECONDS: Final = 5.0
"""How often these are counted."""
_MOST_UNREAD = 100
"""Pieces, after which whoever prints has to wait."""


@dataclass(frozen=True, slots=True)
class InContainer:
    """Containers of one image, on one network."""

    client: DockerClient
    image: str
    network: Network
    address: str
    proxy: Proxy | None
    model_api: tuple[str, ...]
    home: str = HOME
    python: str = "python3"

    @property
    def reached_model(self) -> bool:
        return self.proxy is None or not self.proxy.reached.isdisjoint(self.model_api)

    def env(self, tools: Endpoint) -> dict[str, str]:
        if self.proxy is None:
            return {}
        # Some programs use it for all that they ask for, whatever NO_PROXY says.
        self.proxy.allow(urlsplit(tools.url).netloc)
        used = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.proxy.url)
        return {**used, "NO_PROXY": self.address, "no_proxy": self.address}

    @contextmanager
    def started(self, outfit: Outfit, tools: Endpoint) -> Iterator[Program]:
        """Run a program until the block ends."""
        urls = [tools.url, *([self.proxy.url] if self.proxy else [])]
        ports = [urlsplit(url).port or 0 for url in urls]
        name = str(self.network.name)
        begun = False
        with failing(lambda: begun), ExitStack() as stack:
            stack.enter_context(fenced(name, bridge_of(name), self.address, ports))
            container = self._created(outfit, self._volumes(outfit))
            stack.callback(_removed, container)
            container.put_archive("/", _packed(outfit.files))
            attached = _Attached(self.client, container)
            stack.callback(attached.close)
            _start(container, outfit.command[0])
            begun = True
            attached.send(outfit.task.encode("utf-8", "replace"))
            yield attached

    def _volumes(self, outfit: Outfit) -> list[str]:
        """Where its image declares volumes. CommandFailed if files are to be in one."""
        declared = self.client.images.get(self.image).attrs["Config"].get("Volumes") or {}
        for volume in declared:
            for name in outfit.files:
                if PurePosixPath(HOME, name).is_relative_to(volume):
                    raise CommandFailed(
                        f"its image {self.image} declares the volume {volume}, and {HOME}/{name} is to be "
                        "there: take one that does not, or name the file otherwise"
                    )
        return list(declared)

    def _created(self, outfit: Outfit, volumes: Sequence[str]) -> Container:
        from docker.types import LogConfig

        return self.client.containers.create(
            self.image,
            name=self.network.name,
            entrypoint=list(outfit.command),
            command=[],
            environment=outfit.env,
            working_dir=HOME,
            hostname="agent",
            network=self.network.name,
            # Docker would ask the machine's own name servers on its behalf.
            dns=["127.0.0.1"],
            stdin_open=True,
            log_config=LogConfig(type="none", config={}),
            mem_limit=MEMORY,
            memswap_limit=MEMORY,
            nano_cpus=min(CPUS, os.cpu_count() or 1) * 1_000_000_000,
            # Volumes would be on this machine's disk, where nobody counts what is written.
            tmpfs=dict.fromkeys(("/tmp", *volumes), f"size={SCRATCH},mode=1777,exec"),  # noqa: S108 (its own)
            # The user's own proxy, with its password, is none of its business.
            use_config_proxy=False,
            pids_limit=MOST_PROCESSES,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            labels=_labels(),
        )


@contextmanager
def in_container(image: str, model_api: Sequence[str]) -> Iterator[InContainer]:
    """With a network of its own, gone with the block.

    Raises:
        AgentError: there is no Docker, or none on this machine.
        ContainerFailed: Docker failed.
    """
    with docker_client() as client, ExitStack() as stack:
        name = f"agent-{secrets.token_hex(6)}"
        stack.enter_context(_reaped(name))
        network = client.networks.create(
            name,
            driver="bridge",
            internal=True,
            enable_ipv6=False,
            options={"com.docker.network.bridge.name": bridge_of(name)},
            labels=_labels(),
        )
        stack.callback(network.remove)
        network.reload()
        gateway, subnet = _addresses(network)
        try:
            led = stack.enter_context(proxy(gateway, subnet, model_api)) if model_api else None
            with socket.create_server((gateway, 0)):
                pass
        except OSError as error:
            raise AgentError(
                f"the network of a container cannot be reached from here ({error}): an agent in a container "
                "needs a Docker that runs on this machine itself, as on Linux"
            ) from None
        yield InContainer(client, image, network, gateway, led, tuple(model_api))


def _addresses(network: Network) -> tuple[str, str]:
    """Of the machine on it, and of all on it. Docker may have been told to give IPv6 ones too."""
    pairs = [(each["Gateway"], each["Subnet"]) for each in network.attrs["IPAM"]["Config"]]
    return next((gateway, subnet) for gateway, subnet in pairs if ip_network(subnet).version == 4)


def _labels() -> dict[str, str]:
    return this_process(secrets.token_hex(8), Path(), kept=False).labels()


def _start(container: Container, command: str) -> None:
    """CommandFailed if there is no such command in it."""
    from docker.errors import APIError

    try:
        container.start()
    except APIError as error:
        said = explanation(error)
        closed(error)
        if "exec: " in said or "exec format error" in said:
            why = said[said.rfind("exec: ") :] if "exec: " in said else "exec format error"
            raise CommandFailed(f"its command {command} cannot be run in its container: {why}") from None
        raise


def _removed(container: Container) -> None:
    from docker.errors import NotFound

    try:
        container.remove(force=True, v=True)
    except NotFound as error:
        closed(error)


@contextmanager
def _reaped(name: str) -> Iterator[None]:
    """Should this process be killed within the block, another one removes what it leaves."""
    process = subprocess.Popen(  # noqa: S603 (ours)
        # With the same libraries, user's own too, but none from the folder that it is in.
        [sys.executable, "-P", reaper.__file__, name, bridge_of(name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate(b"done")


def _packed(files: dict[str, str]) -> bytes:
    """A tar archive with a home that any user may write to."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        folders = {str(each) for name in files for each in Path(HOME[1:], name).parents} - {".", "home"}
        for folder in sorted(folders):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(member)
        for name, text in files.items():
            data = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(str(Path(HOME[1:], name)))
            member.size, member.mode = len(data), 0o666
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


class _Attached:
    """A container's program, with its stdin and what it prints."""

    def __init__(self, client: DockerClient, container: Container) -> None:
        self._client = client
        self._container = container
        self._measured = time.monotonic()
        asked = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._stream = client.api.attach_socket(container.id, params=asked)
        # Docker's client closes neither the socket below nor the answer that it came with.
        self._socket, self._answer = self._stream._sock, self._stream._response
        self._changed = threading.Condition()
        self._printed: list[Piece] = []
        self._silent = False
        self._closed = False
        threading.Thread(target=self._listen, name="container", daemon=True).start()

    def send(self, task: bytes) -> None:
        """Have it on stdin, without waiting for a program that does not read."""
        threading.Thread(target=self._tell, args=(task,), name="container", daemon=True).start()

    def read(self) -> Piece | None:
        with self._changed:
            piece = self._printed.pop(0) if self._printed else None
            self._changed.notify_all()
            return piece

    def wait(self, seconds: float) -> Ending | None:
        if self._too_large():
            return Ending(-9, f"wrote more than {MOST_WRITTEN >> 20} MiB, and was ended")
        with self._changed:
            self._changed.wait_for(lambda: self._silent or self._printed, seconds)
            if not self._silent:
                return None
        self._container.reload()
        state = self._container.attrs["State"]
        if state["Running"]:
            # It has closed its output, and goes on.
            time.sleep(seconds)
            return None
        if state["Status"] in ("removing", "dead"):
            raise ContainerFailed(
                "Docker failed under an agent: somebody removes its container", selective=True
            )
        code = int(state["ExitCode"])
        if state.get("OOMKilled"):
            return Ending(code, f"needed more than {MEMORY} of memory, and was ended")
        return Ending(code)

    def _too_large(self) -> bool:
        """Whether it has written more than it may. Docker looks at all of it, and is not asked often.

        Memory bounds what it writes elsewhere.
        """
        if time.monotonic() < self._measured + MEASURE_SECONDS:
            return False
        found = self._client.api.containers(size=True, filters={"id": self._container.id})
        written: int = sum(each.get("SizeRw", 0) for each in found) + sum(map(self._size, LENT))
        self._measured = time.monotonic()
        return written > MOST_WRITTEN

    def _size(self, path: str) -> int:
        """Of a file in it, in bytes."""
        api = self._client.api
        url = api._url("/containers/{0}/archive", self._container.id)
        with api.head(url, params={"path": path}, timeout=api.timeout) as answer:
            api._raise_for_status(answer)
            found = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            return int(found["size"])

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for each in (self._answer, self._stream, self._socket):
            with suppress(OSError, ValueError):
                each.close()

    def _listen(self) -> None:
        from docker.utils.socket import STDOUT, frames_iter

        with suppress(OSError, ValueError):
            for kind, printed in frames_iter(self._stream, tty=False):
                with self._changed:
                    self._changed.wait_for(lambda: len(self._printed) < _MOST_UNREAD or self._closed)
                    if self._closed:
                        return
                    self._printed.append(Piece(printed, stdout=kind == STDOUT))
                    self._changed.notify_all()
        with self._changed:
            self._silent = True
            self._changed.notify_all()

    def _tell(self, task: bytes) -> None:
        with suppress(OSError):
            self._socket.sendall(task)
            self._socket.shutdown(socket.SHUT_WR)
