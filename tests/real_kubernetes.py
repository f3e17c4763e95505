"""One real Kubernetes (k3s in Docker) for a run of the tests, whatever number of processes it has.

The process that collects, or the controller of pytest-xdist, owns the container: it starts it as soon as
a collected test wants it, beside the tests that do not, and removes it when pytest ends, however that comes
about. Workers find the kubeconfig in a folder of which the controller tells them.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import docker
    from testcontainers.community.k3s import K3SContainer

IMAGE = "rancher/k3s:v1.32.4-k3s1"
KUBERNETES = "kubernetes"
"""The parameter of the tests that want it."""
START_SECONDS = 240.0
"""For the container to come up, with its image to be pulled."""
OWNER = "pytest-selfrep.tests.owner"
"""The container's label: ``<host>/<process>`` of the run that it belongs to."""
_VERSION = re.compile(r":v(\d+)\.(\d+)\.")


class OneKubernetes:
    """Where the run's real Kubernetes is found: an image (None: there is no way to run one) and a folder."""

    def __init__(self, image: str | None, said: str, folder: Path, owned: bool) -> None:
        self.image = image
        self.said = said
        self.folder = folder
        self._owned = owned
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._container: K3SContainer | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Of Kubernetes in the image, read off its tag, so that tests can be chosen before it runs."""
        found = _VERSION.search(self.image or "")
        if found is None:
            raise pytest.UsageError(f"the tag of {self.image} does not begin with a version, as v1.32.4 does")
        return int(found[1]), int(found[2])

    def kubeconfig(self) -> Path:
        """The administrator's, once the API server answers. Raises RuntimeError if it does not come up."""
        path, failure = self.folder / "kubeconfig", self.folder / "failure"
        patience = time.monotonic() + START_SECONDS
        while not path.exists():
            if failure.exists() or time.monotonic() > patience:
                why = failure.read_text() if failure.exists() else f"not there after {START_SECONDS:g} s"
                raise RuntimeError(f"{self.image} does not run: {why}")
            time.sleep(0.1)
        return path

    def start(self) -> None:
        """Begin to start it, unless it is under way or not for this process to do."""
        if self._owned and self._thread is None and self.image is not None:
            # To be told to end is to be interrupted: pytest then leaves nothing behind.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            # Where Docker is, is found out here: tests change that for themselves.
            remove_orphans()
            container = k3s(self.image)
            self._thread = threading.Thread(target=self._run, args=(container,), name="k3s", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Remove it with whatever is in it, even if it is still about to start."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        if self._container is not None:
            self._container.stop()
        if self._owned:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, container: K3SContainer) -> None:
        from testcontainers.core.container import DockerContainer

        try:
            # Not its own start: that waits for a line of the log with a function that warns of its removal.
            DockerContainer.start(container)
            self._container = container
            _write(self.folder / "kubeconfig", self._kubeconfig_of(container))
        except Exception as error:
            _write(self.folder / "failure", f"{type(error).__name__}: {error}")

    def _kubeconfig_of(self, container: K3SContainer) -> str:
        while not self._ending.wait(0.2):
            wrapped = container.get_wrapped_container()
            wrapped.reload()
            if wrapped.status == "exited":
                raise RuntimeError(wrapped.logs(tail=5).decode())
            if wrapped.exec_run(["test", "-s", "/etc/rancher/k3s/k3s.yaml"]).exit_code == 0:
                return container.config_yaml()
        raise RuntimeError("the tests ended before it was up")


def k3s(image: str) -> K3SContainer:
    """A container to be started, removed with this process (if Docker's reaper is allowed to)."""
    # Within a container the host's name is not to be had otherwise.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    from testcontainers.community.k3s import K3SContainer

    return K3SContainer(image).with_kwargs(
        privileged=True, labels={OWNER: f"{socket.gethostname()}/{os.getpid()}"}
    )


def remove_orphans() -> None:
    """Remove the containers of runs on this host that were killed before they could do it themselves."""
    import docker

    client = docker.from_env()
    try:
        for container in client.containers.list(all=True, filters={"label": OWNER}):
            host, _, process = container.labels[OWNER].partition("/")
            if host == socket.gethostname() and not Path(f"/proc/{process}").exists():
                container.remove(force=True, v=True)
    finally:
        client.close()


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for other processes look out for it."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


def _image() -> tuple[str | None, str]:
    """The image to run, and what a reader of the header should know; None if there is no way to run it."""
    named = os.environ.get("SELFREP_K3S_IMAGE")
    try:
        import docker

        client = docker.from_env(timeout=5)
        try:
            client.ping()
            return (named, named) if named else _pinned(client)
        finally:
            client.close()
    except Exception as error:
        if named:
            raise pytest.UsageError(
                f"SELFREP_K3S_IMAGE is set, but Docker does not answer: {error}"
            ) from error
        return None, "no real Kubernetes, for there is no Docker"


def _pinned(client: docker.DockerClient) -> tuple[str | None, str]:
    from docker.errors import APIError, ImageNotFound

    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        try:
            client.images.get_registry_data(IMAGE)
        except APIError:
            return None, f"no real Kubernetes, for Docker neither has {IMAGE} nor gets it"
    return IMAGE, IMAGE


_STASH = pytest.StashKey[OneKubernetes]()


def one_kubernetes(config: pytest.Config) -> OneKubernetes:
    """The run's."""
    return config.stash[_STASH]


def pytest_configure(config: pytest.Config) -> None:
    told = getattr(config, "workerinput", {}).get("kubernetes")
    image, said, folder = told or (*_image(), tempfile.mkdtemp(prefix="kubernetes-"))
    # If nobody answers, the client forgets a socket: it is closed here, and not amid a test.
    gc.collect()
    config.stash[_STASH] = OneKubernetes(image, said, Path(folder), owned=told is None)
    config.addinivalue_line("markers", "docker: needs Docker and an image of k3s")
    config.addinivalue_line(
        "markers", "since(version): real Kubernetes does so from that version on; older ones are not asked"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs a real one is left out where there is none. Skipped, it would look broken."""
    if one_kubernetes(config).image is not None:
        return
    without = [each for each in items if each.get_closest_marker("docker") is not None]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [each for each in items if each not in without]


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    """Of the k3s that tests run; it has sh and wget too."""
    name = one_kubernetes(request.config).image
    assert name is not None
    return name


def pytest_report_header(config: pytest.Config) -> str:
    return f"contract tests: kubesim; {one_kubernetes(config).said}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    kubernetes = one_kubernetes(node.config)
    node.workerinput["kubernetes"] = (kubernetes.image, kubernetes.said, str(kubernetes.folder))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Iterable[str]) -> None:
    if any(f"[{KUBERNETES}" in each for each in ids):
        one_kubernetes(node.config).start()


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if any(f"[{KUBERNETES}" in each.nodeid for each in session.items):
        one_kubernetes(session.config).start()


def pytest_unconfigure(config: pytest.Config) -> None:
    one_kubernetes(config).stop()
