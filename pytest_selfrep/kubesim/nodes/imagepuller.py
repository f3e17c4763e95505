"""Gets the images of a pod's containers, or reports why there are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pytest_selfrep.kubesim.nodes import images
from pytest_selfrep.kubesim.nodes.podhost import FIRST_RESTART_SECONDS, Host, Timers, backoff
from pytest_selfrep.kubesim.nodes.podstatus import Process, waiting

PULL_SECONDS = (0.8, 2.6)
"""How long an image takes to arrive, from shortest to longest; a tenth of it if the node has it already."""
START_SECONDS = (0.3, 1.0)
"""From an image that is there to a running container."""

Record = Callable[[str, str, str], None]
"""Reports an event about the pod: type, reason, message."""


class ImagePuller:
    """Pulls for one pod. What it does at once is for its caller to publish."""

    def __init__(
        self,
        host: Host,
        timers: Timers,
        record: Record,
        publish: Callable[[], None],
        ready: Callable[[Process], None],
    ) -> None:
        """``ready`` is called with a container once it can run."""
        self._host = host
        self._timers = timers
        self._record = record
        self._publish = publish
        self._ready = ready

    def pull(self, process: Process) -> None:
        image = process.spec["image"]
        policy = process.spec.get("imagePullPolicy", "IfNotPresent")
        try:
            name = images.full_name(image)
        except images.InvalidImageName as error:
            process.state = waiting("InvalidImageName", str(error))
            self._record("Warning", "InspectFailed", str(error))
            self._record("Warning", "Failed", "Error: InvalidImageName")
            return
        starting = self._host.between(START_SECONDS)
        if name in self._host.images and policy != "Always":
            message = f'Container image "{image}" already present on machine'
            self._record("Normal", "Pulled", message)
            self._timers.after(process.name, starting, partial(self._ready, process))
        elif policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            process.state = waiting("ErrImageNeverPull", message)
            self._record("Warning", "ErrImageNeverPull", message)
            self._record("Warning", "Failed", "Error: ErrImageNeverPull")
        else:
            self._record("Normal", "Pulling", f'Pulling image "{image}"')
            pulling = self._host.between(PULL_SECONDS) / (10.0 if name in self._host.images else 1.0)
            self._timers.after(
                process.name, pulling + starting, partial(self._pulled, process, name, pulling)
            )

    def _pulled(self, process: Process, name: str, seconds: float) -> None:
        image = process.spec["image"]
        try:
            images.check(image)
        except images.CannotPull as error:
            self._pull_failed(process, image, str(error))
            return
        self._host.images.add(name)
        took = f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}s"
        message = (
            f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
            f"Image size: {images.size(image)} bytes."
        )
        self._record("Normal", "Pulled", message)
        self._ready(process)

    def _pull_failed(self, process: Process, image: str, why: str) -> None:
        self._record("Warning", "Failed", f'Failed to pull image "{image}": {why}')
        self._record("Warning", "Failed", "Error: ErrImagePull")
        process.state = waiting("ErrImagePull", why)
        process.pull_failures += 1
        self._publish()
        self._timers.after(
            process.name, FIRST_RESTART_SECONDS, partial(self._wait_to_pull, process, image, why)
        )

    def _wait_to_pull(self, process: Process, image: str, why: str) -> None:
        message = f'Back-off pulling image "{image}"'
        self._record("Normal", "BackOff", message)
        self._record("Warning", "Failed", "Error: ImagePullBackOff")
        process.state = waiting("ImagePullBackOff", f"{message}: ErrImagePull: {why}")
        self._publish()
        self._timers.after(process.name, backoff(process.pull_failures), partial(self.pull, process))
