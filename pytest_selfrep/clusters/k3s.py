"""One k3s in a container, from start to end; whatever goes wrong is one error that says what to do."""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import ssl
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from pytest_selfrep.clusters import standins
from pytest_selfrep.clusters.audit_log import ARGUMENTS, POLICY, POLICY_FILE
from pytest_selfrep.clusters.docker_engine import bring, engine, explanation
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.kubeconfig import write_private
from pytest_selfrep.clusters.ownership import KUBECONFIG, Owner, containers, remove, remove_orphans
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from docker.models.containers import Container, ExecResult
    from testcontainers.community.k3s import K3SContainer
    from testcontainers.core.docker_client import DockerClient as Engine

CONTEXT = "default"
"""Of the kubeconfig that k3s writes."""
START_SECONDS = 180.0
"""For the node to become Ready, once the image is there."""
MOST_PODS = 250
"""Of its node, which has as many addresses for them; 110 are few for several worlds at once."""
READY_AGAIN_SECONDS = 30.0
"""For a server that runs to be ready again, when a trial has broken."""
_CONNECT_SECONDS = 2.0
_POLL_SECONDS = 0.25
_PORT = 6443
_KUBECONFIG_INSIDE = "/etc/rancher/k3s/k3s.yaml"
_EXPORTED, _STANDINS = "/tmp/base.tar", "/tmp/standins.tar"  # noqa: S108 (within the container)
_LOG_LINES = 15
_EVENTS = 10
_NO_CGROUPS = (
    "the host lacks the cgroups that Kubernetes needs: mount them (ls /sys/fs/cgroup), on cgroup v1 boot "
    "with cgroup_enable=memory, within a container run that one privileged; or run without Docker "
    "(--selfrep-cluster embedded)"
)


@dataclass(frozen=True, slots=True)
class K3s:
    """A k3s that runs."""

    id: str
    """Of its container; tells it from its replacement."""
    name: str
    """Of its container."""
    image: str
    kubeconfig: Path
    """The administrator's."""

    def how_to_look_inside(self) -> str:
        return (
            f"{self.image} still runs in container {self.name}\n"
            f"  kubectl --kubeconfig {self.kubeconfig} get pods -A\n"
            f"  docker exec -it {self.name} sh\n"
            "python -m pytest_selfrep clean removes it"
        )


def start(image: str, owner: Owner, ending: threading.Event) -> K3s:
    """Start a cluster and wait until its node is Ready and the ServiceAccount ``default`` is there.

    The kubeconfig is put into the owner's folder. When ``ending`` is set,
    the cluster is given up.

    Raises:
        ClusterError: it does not come up; nothing of it stays behind.
    """
    with engine() as docker:
        with contextlib.suppress(ClusterError):
            remove_orphans(docker.client)
        container = _container(image, owner)
        try:
            bring(docker.client, container.image, lambda: _check(ending))
            _check(ending)
            _launch(container, kept=owner.kept)
            _await_ready(container, owner.folder / KUBECONFIG, ending)
        except BaseException:
            _remove_all(docker, owner.run)
            raise
        finally:
            container.get_docker_client().client.close()
        inside = container.get_wrapped_container()
        return K3s(str(inside.id), str(inside.name), container.image, owner.folder / KUBECONFIG)


def stop(run: str) -> None:
    """Remove all clusters of a run. ClusterError if one stays."""
    with engine() as docker:
        _remove_all(docker, run)


def bring_images(cluster: K3s, images: Mapping[str, Iterable[str]]) -> None:
    """Have a stand-in for each image, with the programs that are started from it. Raises ClusterError."""
    with engine() as docker:
        container = docker.client.containers.get(cluster.id)
        if _ctr(container, "images", "export", _EXPORTED, standins.BASE).exit_code != 0:
            pulled = _ctr(container, "images", "pull", standins.BASE)
            if pulled.exit_code != 0:
                said = pulled.output.decode(errors="replace").strip().splitlines() or [""]
                raise ClusterError(
                    f"{standins.BASE}, on which stand-ins for the scenario's images are built, cannot be "
                    f"pulled within the k3s: {said[-1]}; let it reach a registry, or load the image into it"
                )
            _checked(_ctr(container, "images", "export", _EXPORTED, standins.BASE))
        base = standins.base_of(_fetched(container, _EXPORTED))
        folder, _, name = _STANDINS.rpartition("/")
        container.put_archive(folder, _packed(name, standins.archive(base, images)))
        _checked(_ctr(container, "images", "import", _STANDINS))


def bring_own(cluster: K3s, image: str) -> None:
    """Take an image from this Docker, if it is there; else the cluster pulls it. Raises ClusterError."""
    import docker.errors

    with engine() as docker_:
        try:
            found = docker_.client.images.get(image)
        except docker.errors.ImageNotFound:
            return
        tags = [tag for tag in found.tags if standins.full_name(tag) == standins.full_name(image)]
        if not tags:
            return
        container = docker_.client.containers.get(cluster.id)
        name = f"own-{str(found.id).rpartition(':')[2][:12]}.tar"
        with tempfile.TemporaryFile() as packed:
            # On disk, for images may be larger than memory.
            _pack(name, found.save(named=tags[0]), packed)
            container.put_archive("/tmp", packed)  # noqa: S108 (within the container)
        _checked(_ctr(container, "images", "import", f"/tmp/{name}"), image)  # noqa: S108
        container.exec_run(["rm", "-f", f"/tmp/{name}"])  # noqa: S108


def _pack(name: str, pieces: Iterable[bytes], into: IO[bytes]) -> None:
    """A tar archive with one file, of which the size is known only in the end."""
    with tempfile.TemporaryFile() as whole:
        for piece in pieces:
            whole.write(piece)
        member = tarfile.TarInfo(name)
        member.size = whole.tell()
        whole.seek(0)
        with tarfile.open(fileobj=into, mode="w") as tar:
            tar.addfile(member, whole)
    into.seek(0)


def _ctr(container: Container, *words: str) -> ExecResult:
    """containerd's own client, where the kubelet finds its images."""
    return container.exec_run(["sh", "-c", 'k3s ctr "$@" 2>/dev/null || ctr -n k8s.io "$@"', "ctr", *words])


def _checked(result: ExecResult, what: str = "the stand-ins for the scenario's images") -> None:
    if result.exit_code != 0:
        said = result.output.decode(errors="replace").strip()
        raise ClusterError(f"containerd does not take {what}: {said}")


def _fetched(container: Container, path: str) -> bytes:
    pieces, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read() if file is not None else b""


def _packed(name: str, data: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def post_mortem(cluster: K3s) -> str | None:
    """Why a cluster is dead, as the end of a sentence; None if it lives."""
    from docker.errors import NotFound

    with engine() as docker:
        try:
            container = docker.client.containers.get(cluster.id)
        except NotFound:
            return "its container was removed"
        if container.status != "running":
            return f"its container is {container.status}; {_last_lines(container)}"
    unready = unready_for(cluster.kubeconfig, READY_AGAIN_SECONDS)
    return f"its API server is not ready: {unready}" if unready else None


def unready_for(kubeconfig: Path, seconds: float) -> str:
    """Why an API server does not become ready within a time; empty if it does.

    One that is busy, or starts again, says so too, and keeps what it has.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            with _admin(kubeconfig) as admin:
                admin.text("GET", "/readyz")
        except (ClusterError, ApiError) as error:
            if time.monotonic() > until:
                return str(error)
            time.sleep(_POLL_SECONDS)
        else:
            return ""


def _container(image: str, owner: Owner) -> K3SContainer:
    from testcontainers.community.k3s import K3SContainer

    with _as_docker_host():
        container = K3SContainer(image)
    host = container.get_docker_client().host()
    container.with_command(
        [
            "server",
            "--disable=traefik",
            f"--kubelet-arg=max-pods={MOST_PODS}",
            *(f"--tls-san={each}" for each in dict.fromkeys((host, "127.0.0.1", "localhost"))),
            *(f"--kube-apiserver-arg={each}" for each in ARGUMENTS),
        ]
    )
    container.with_kwargs(privileged=True, labels=owner.labels())
    container.with_copy_into_container(orjson.dumps(POLICY), POLICY_FILE)
    ports: dict[str, Any] = container.ports
    ports.clear()
    # Where Docker is on this machine, no other one need reach it.
    ports[f"{_PORT}/tcp"] = ("127.0.0.1",) if host in ("localhost", "127.0.0.1") else None
    return container


@contextmanager
def _as_docker_host() -> Iterator[None]:
    """Within a container testcontainers takes the new one's own address, and asks for it too early."""
    from testcontainers.core.config import ConnectionMode, testcontainers_config

    before = testcontainers_config.connection_mode_override
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    try:
        yield
    finally:
        testcontainers_config.connection_mode_override = before


def _launch(container: K3SContainer, *, kept: bool) -> None:
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    before = testcontainers_config.ryuk_disabled
    testcontainers_config.ryuk_disabled = before or kept or not _reaper()
    try:
        # Not its own start: that waits for a line of the log, with a function that warns of its removal.
        DockerContainer.start(container)
    except (DockerException, OSError) as error:
        said = explanation(error)
        if "cgroup" in said:
            raise ClusterError(f"{_NO_CGROUPS} (Docker says: {said})") from error
        raise ClusterError(
            f"Docker does not start {container.image}: {said}; Kubernetes needs a Docker that permits "
            "privileged containers"
        ) from error
    finally:
        testcontainers_config.ryuk_disabled = before


def _reaper() -> bool:
    """Whether the container that ends the others when this process is gone can be had."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import Reaper

    if testcontainers_config.ryuk_disabled:
        return False
    try:
        with _as_docker_host():
            Reaper.get_instance()
    except Exception:
        # Its image or Docker's socket is not to be had: the next run removes what it would.
        return False
    return True


def _check(ending: threading.Event) -> None:
    if ending.is_set():
        raise ClusterError("the run ended before the cluster was up")


def _await_ready(container: K3SContainer, kubeconfig: Path, ending: threading.Event) -> None:
    patience = time.monotonic() + START_SECONDS
    missing = "its kubeconfig is not there"
    while time.monotonic() < patience:
        _check(ending)
        inside = container.get_wrapped_container()
        inside.reload()
        if inside.status != "running":
            raise ClusterError(_failure(container, f"its container is {inside.status}", kubeconfig))
        missing = _missing(container, kubeconfig)
        if not missing:
            return
        ending.wait(_POLL_SECONDS)
    raise ClusterError(_failure(container, f"after {START_SECONDS:.0f} seconds {missing}", kubeconfig))


def _missing(container: K3SContainer, kubeconfig: Path) -> str:
    """What a cluster still lacks; empty when it is complete."""
    from docker.errors import APIError

    if not kubeconfig.exists():
        try:
            text = container.get_wrapped_container().exec_run(["cat", _KUBECONFIG_INSIDE])
        except APIError:
            # It may have ended since it was looked at, and is looked at again.
            return "Docker runs nothing in its container"
        if text.exit_code != 0 or not text.output.strip():
            return "its kubeconfig is not there"
        reached = _reachable(container, text.output.decode())
        if reached is None:
            return f"its API server cannot be reached at any of {', '.join(map(str, _addresses(container)))}"
        write_private(kubeconfig, reached)
    try:
        with _admin(kubeconfig) as admin:
            return _not_ready(admin)
    except (ClusterError, ApiError) as error:
        return f"its API server says: {error}"


def _not_ready(admin: KubeClient) -> str:
    nodes = admin.get(path_of("", "v1", "nodes"))["items"]
    if not nodes:
        return "it has no node"
    for node in nodes:
        ready = [each for each in node["status"].get("conditions", ()) if each["type"] == "Ready"]
        if not ready or ready[0]["status"] != "True":
            why = ready[0].get("message", "") if ready else "it has not reported yet"
            return f"node {node['metadata']['name']} is not Ready: {why}"
    try:
        admin.get(path_of("", "v1", "serviceaccounts", "default", "default"))
    except ApiError as error:
        return f"the ServiceAccount default is not there: {error}"
    return ""


def _addresses(container: K3SContainer) -> list[tuple[str, int]]:
    """Where the API server may be reached from here: it depends on which containers lie in between."""
    docker = container.get_docker_client()
    name = container.get_container_id()
    published = int(docker.port(name, _PORT))
    found = [("127.0.0.1", published), (docker.host(), published), (docker.bridge_ip(name), _PORT)]
    return [each for each in dict.fromkeys(found) if each[0]]


def _reachable(container: K3SContainer, kubeconfig: str) -> str | None:
    """The kubeconfig with an address at which this very API server answers."""
    import yaml

    found = yaml.safe_load(kubeconfig)
    server = found["clusters"][0]["cluster"]
    authority = base64.b64decode(server["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    for host, port in _addresses(container):
        try:
            with (
                socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                server["server"] = f"https://{host}:{port}"
                return str(yaml.safe_dump(found))
        except OSError:
            continue
    return None


@contextmanager
def _admin(kubeconfig: Path) -> Iterator[KubeClient]:
    transport = from_kubeconfig(kubeconfig, CONTEXT)
    try:
        yield KubeClient(transport)
    finally:
        transport.close()


def _failure(container: K3SContainer, what: str, kubeconfig: Path) -> str:
    """All that can be found out about a start that failed."""
    said = _last_lines(container.get_wrapped_container())
    first = f"the k3s of {container.image} did not come up: {what}"
    if "cgroup" in said:
        first = f"{first}; {_NO_CGROUPS}"
    return "\n".join([f"{first}; {said}", *_events(kubeconfig)])


def _last_lines(container: Container) -> str:
    lines = container.logs(tail=_LOG_LINES).decode(errors="replace").splitlines()
    return "\n  ".join(["the last lines of its log:", *lines]) if lines else "its log is empty"


def _events(kubeconfig: Path) -> list[str]:
    """The last warnings that the cluster has, if it answers."""
    if not kubeconfig.exists():
        return []
    try:
        with _admin(kubeconfig) as admin:
            events = admin.get(path_of("", "v1", "events"))["items"]
    except (ClusterError, ApiError):
        return []
    warnings = [
        f"  {about['kind']} {about['name']}: {each.get('reason')}: {each.get('message')}"
        for each in events
        if (about := each["involvedObject"]) and each.get("type") == "Warning"
    ]
    return ["its last warnings:", *warnings[-_EVENTS:]] if warnings else []


def _remove_all(docker: Engine, run: str) -> None:
    for container in containers(docker.client, run):
        remove(container)
