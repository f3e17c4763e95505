"""Runs one pod on one node: pulls images, starts containers, restarts them, stops them, and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pytest_selfrep.kubesim.containers.commands import must_end
from pytest_selfrep.kubesim.defaults import containers_of
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.nodes.imagepuller import ImagePuller
from pytest_selfrep.kubesim.nodes.podhost import FIRST_RESTART_SECONDS, Host, Timers, backoff
from pytest_selfrep.kubesim.nodes.podstatus import (
    Condition,
    Process,
    conditions,
    container_id,
    container_status,
    ephemeral_status,
    gates,
    phase_of,
    waiting,
    with_conditions,
)
from pytest_selfrep.kubesim.objects import Key, Object, key_of
from pytest_selfrep.kubesim.scheduling.podneeds import missing_for_containers, missing_for_volumes

STOP_SECONDS = (0.4, 1.6)
"""From SIGTERM to the end of a container, if the grace period does not end it first."""
BACKOFF_FORGOTTEN_SECONDS = 600.0
"""A container that ran this long starts again without delay."""
SANDBOX_SECONDS = 12.0
"""Before a pod that got no address is tried again."""
NO_ADDRESS = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: "
    'plugin type="bridge" failed (add): failed to allocate for range 0: '
    "no IP addresses available in range set"
)
KILLED = 137
"""Exit code after SIGKILL."""
TERMINATED = 143
"""Exit code after SIGTERM."""


class PodWorker:
    """One pod from its arrival on the node to its end. All times are the cluster's."""

    def __init__(self, host: Host, pod: Object) -> None:
        self._host = host
        self._clock = host.context.clock
        self._key: Key = key_of(pod)
        self._uid: str = pod["metadata"]["uid"]
        spec = pod["spec"]
        self._policy: str = spec.get("restartPolicy", "Always")
        self._host_network = bool(spec.get("hostNetwork"))
        has_init = bool(spec.get("initContainers"))
        self._init = [Process(each, waiting("PodInitializing")) for each in spec.get("initContainers") or ()]
        creating = "PodInitializing" if has_init else "ContainerCreating"
        self._main = [Process(each, waiting(creating)) for each in spec["containers"]]
        self._sequence = [*self._init, *self._main]
        self._ephemeral: list[Process] = []
        self._ending = [each.name for each in self._sequence if must_end(pod, each.name)]
        self._begun = 0
        self._timers = Timers(host.context.clock)
        self._blocked: Callable[[], None] | None = None
        self._complaint = ""
        self._address = ""
        self._start_time = ""
        self._stopping = False
        self.finished = False

    # Starting

    def start(self) -> None:
        """Mount volumes, then start containers one after the other, init containers first."""
        pod = self._pod()
        if pod is None:
            return
        self._start_time = self._start_time or self._clock.timestamp()
        missing = missing_for_volumes(self._host.context.store, pod)
        if missing:
            if self._complaint != missing:
                self._complaint = missing
                self._host.writer.record(pod, "Warning", "FailedMount", missing)
            self._blocked = self.start
            self._publish()
            return
        self._address = self._host.address if self._host_network else self._host.take_address()
        if not self._address:
            self._host.writer.record(pod, "Warning", "FailedCreatePodSandBox", NO_ADDRESS)
            self._timers.after("sandbox", SANDBOX_SECONDS, self.start)
            self._publish()
            return
        self._start_deadline(pod)
        self._begin_next()
        self._begin_ephemeral(pod)
        self._publish()

    def retry(self) -> None:
        """Try again what failed for want of a ConfigMap or Secret."""
        blocked, self._blocked = self._blocked, None
        if blocked is not None:
            blocked()

    def sync(self, pod: Object) -> None:
        """Restart containers whose image has been changed, start those that were added, look at the gates."""
        images_now = {each["name"]: each for each in containers_of(pod["spec"])}
        changed = bool(gates(pod)) and not self.finished
        if self._address and not self._stopping and not self.finished:
            changed |= self._begin_ephemeral(pod)
        for process in self._sequence[: self._begun]:
            spec = images_now[process.name]
            if process.exit_code is None and spec["image"] != process.spec["image"]:
                self._redefine(process, spec)
                changed = True
        if changed:
            self._publish()

    def _redefine(self, process: Process, spec: Object) -> None:
        process.spec, process.pulled, process.pull_failures = spec, False, 0
        if process.is_running:
            message = f"Container {process.name} definition changed, will be restarted"
            self._record(process, "Normal", "Killing", message)
            self._end(process, TERMINATED)
            process.last_state = process.state
        self._pull(process)

    def _begin_ephemeral(self, pod: Object) -> bool:
        """Start the ephemeral containers that are new; whether there were any."""
        known = [each.name for each in self._ephemeral]
        added = [each for each in pod["spec"].get("ephemeralContainers") or () if each["name"] not in known]
        for spec in added:
            process = Process(spec, waiting("PodInitializing" if self._init else "ContainerCreating"))
            self._ephemeral.append(process)
            self._pull(process)
        return bool(added)

    def _pull(self, process: Process) -> None:
        record = partial(self._record, process)
        ImagePuller(self._host, self._timers, record, self._publish, self._run).pull(process)

    @property
    def is_blocked(self) -> bool:
        """Whether it waits for a ConfigMap or Secret."""
        return self._blocked is not None

    def _start_deadline(self, pod: Object) -> None:
        seconds = pod["spec"].get("activeDeadlineSeconds")
        if seconds is not None:
            message = "Pod was active on the node longer than the specified deadline"
            self._timers.after("deadline", seconds, lambda: self.fail("DeadlineExceeded", message))

    def _begin_next(self) -> None:
        if self._begun < len(self._sequence):
            self._begun += 1
            self._pull(self._sequence[self._begun - 1])

    # Running

    def _run(self, process: Process) -> None:
        process.pulled = True
        missing = missing_for_containers(self._host.context.store, self._key.namespace, process.spec)
        if missing:
            self._blocked = partial(self._run, process)
            process.state = waiting("CreateContainerConfigError", missing)
            self._record(process, "Warning", "Failed", f"Error: {missing}")
            self._publish()
            return
        process.runs += 1
        process.restarts = process.runs - 1
        process.container_id = container_id(self._uid, process.name, process.restarts)
        process.state = {"running": {"startedAt": self._clock.timestamp()}}
        process.since = self._clock.now
        self._record(process, "Normal", "Created", f"Created container: {process.name}")
        self._record(process, "Normal", "Started", f"Started container {process.name}")
        work = self._host.work_seconds if process.name in self._ending else None
        pod = self._pod()
        if pod is None:
            return
        exited = partial(self._exited_early, process, process.container_id)
        run = self._host.runtime.start(pod, process.spec, process.container_id, work, exited)
        if run.seconds is not None:
            ended = partial(self._exited, process, run.exit_code)
            self._timers.after(process.name, max(0.1, run.seconds), ended)
        self._await_probes(process)
        newest = process is self._sequence[self._begun - 1]
        if newest and not self._must_end(process):
            self._begin_next()
        self._publish()

    def _must_end(self, process: Process) -> bool:
        """Whether what comes after it waits for it to end: init containers that are no sidecars."""
        return any(process is each for each in self._init) and not process.is_sidecar

    def _is_ephemeral(self, process: Process) -> bool:
        """Whether it was added to look into the pod: it is never ready, never restarted, never waited for."""
        return any(process is each for each in self._ephemeral)

    def _await_probes(self, process: Process) -> None:
        """Ready once its probes have succeeded; they succeed whenever they are first tried often enough."""
        if self._must_end(process) or self._is_ephemeral(process):
            return
        probes = [probe for name in ("startupProbe", "readinessProbe") if (probe := process.spec.get(name))]
        process.started = not process.spec.get("startupProbe")
        if not probes:
            process.ready = True
            return
        delay = sum(
            float(probe.get("initialDelaySeconds", 0))
            + (probe.get("successThreshold", 1) - 1) * probe.get("periodSeconds", 10)
            + self._host.context.names.random()
            for probe in probes
        )
        self._timers.after(f"{process.name} probe", delay, partial(self._probed, process))

    def _probed(self, process: Process) -> None:
        process.started = process.ready = True
        self._publish()

    def _exited_early(self, process: Process, container_id: str, code: int) -> None:
        """It ended otherwise than foreseen: by what it was told, or by a signal."""
        if process.is_running and process.container_id == container_id and not self._stopping:
            self._timers.cancel(process.name)
            self._exited(process, code)

    def _exited(self, process: Process, code: int) -> None:
        self._end(process, code)
        if self._is_ephemeral(process):
            self._publish()
            return
        ran = self._clock.now - process.since
        init = self._must_end(process)
        restarts = code != 0 if init or self._policy == "OnFailure" else self._policy == "Always"
        if restarts and not (init and self._policy == "Never"):
            if ran >= BACKOFF_FORGOTTEN_SECONDS or process.runs == 1:
                self._timers.after(process.name, FIRST_RESTART_SECONDS, partial(self._restart, process))
            else:
                self._wait_to_restart(process)
        elif init and code == 0:
            process.ready = True
            self._begin_next()
        elif init:
            self._finish("Failed")
            return
        if phase_of(self._main, self._policy) in ("Succeeded", "Failed"):
            self._finish(phase_of(self._main, self._policy))
            return
        self._publish()

    def _wait_to_restart(self, process: Process) -> None:
        seconds = backoff(process.runs - 1)
        pod = f"{self._key.name}_{self._key.namespace}({self._uid})"
        message = f"back-off {_go_duration(seconds)} restarting failed container={process.name} pod={pod}"
        process.last_state, process.state = process.state, waiting("CrashLoopBackOff", message)
        self._record(
            process, "Warning", "BackOff", f"Back-off restarting failed container {process.name} in pod {pod}"
        )
        self._timers.after(process.name, seconds, partial(self._restart, process))

    def _restart(self, process: Process) -> None:
        if "terminated" in process.state:
            process.last_state = process.state
        self._pull(process)

    def _end(self, process: Process, code: int) -> None:
        self._host.runtime.end(process.container_id)
        self._timers.cancel(f"{process.name} probe")
        process.ready = process.started = False
        process.state = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "startedAt": self._clock.timestamp(process.since),
                "finishedAt": self._clock.timestamp(),
                "containerID": process.container_id,
            }
        }

    # Ending

    def terminate(self, grace_seconds: float) -> None:
        """Stop the containers, within a grace period, and then have the pod removed."""
        if not self._stopping:
            self._stopping = True
            self._halt()
            for process in self._running():
                self._record(process, "Normal", "Killing", f"Stopping container {process.name}")
        slowest = max((self._time_to_stop(each) for each in self._main if each.is_running), default=0.0)
        self._timers.after("stop", min(float(grace_seconds), slowest), self._stopped)

    def _time_to_stop(self, process: Process) -> float:
        hook = ((process.spec.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
        return float(hook.get("seconds", 0)) + self._host.between(STOP_SECONDS)

    def _stopped(self) -> None:
        pod = self._pod()
        if pod is not None and pod["metadata"].get("finalizers"):
            for process in self._running():
                self._end(process, TERMINATED)
            self._finish("Failed")
        self.discard()
        self._host.writer.delete(POD, self._key, grace_seconds=0)

    def fail(self, reason: str, message: str, *conditions: Condition) -> None:
        """End the pod at once with phase Failed; the object stays for its owner to see."""
        for process in self._running():
            self._record(process, "Normal", "Killing", f"Stopping container {process.name}")
            self._end(process, KILLED)
        self._finish("Failed", reason, message, *conditions)

    def discard(self) -> None:
        """Forget the pod: nothing happens to it here any more."""
        self._halt()
        if self._address and not self._host_network:
            self._host.give_back(self._address)
            self._address = ""

    def _finish(self, phase: str, reason: str = "", message: str = "", *conditions: Condition) -> None:
        self.finished = True
        for process in self._ephemeral:
            if process.is_running:
                self._end(process, KILLED)
        self._halt()
        self._publish(phase, reason, message, *conditions)

    def _running(self) -> Iterator[Process]:
        return (process for process in (*self._sequence, *self._ephemeral) if process.is_running)

    def _halt(self) -> None:
        self._blocked = None
        self._timers.clear()

    # Reporting

    def _publish(self, phase: str = "", reason: str = "", message: str = "", *further: Condition) -> None:
        pod = self._pod()
        if pod is None:
            return
        phase = phase or phase_of(self._main, self._policy)
        own = conditions(self._init, self._main, phase, sandbox=bool(self._address), gates=gates(pod))
        status = with_conditions(pod["status"], (*further, *own), self._clock.timestamp())
        status.update(
            phase=phase,
            startTime=self._start_time,
            hostIP=self._host.address,
            hostIPs=[{"ip": self._host.address}],
            containerStatuses=[container_status(process) for process in self._main],
        )
        if self._init:
            status["initContainerStatuses"] = [container_status(process) for process in self._init]
        if self._ephemeral:
            status["ephemeralContainerStatuses"] = [ephemeral_status(process) for process in self._ephemeral]
        if self._address:
            status.update(podIP=self._address, podIPs=[{"ip": self._address}])
        if reason:
            status.update(reason=reason, message=message)
        self._host.writer.update_status(POD, {**pod, "status": status})

    def _record(self, process: Process, type_: str, reason: str, message: str) -> None:
        pod = self._pod()
        if pod is not None:
            part = "initContainers" if any(process is each for each in self._init) else "containers"
            part = "ephemeralContainers" if self._is_ephemeral(process) else part
            self._host.writer.record(pod, type_, reason, message, f"spec.{part}{{{process.name}}}")

    def _pod(self) -> Object | None:
        """The pod as it is now; None if it is gone or another took its name."""
        pod = self._host.context.store.get(POD, self._key)
        return pod if pod is not None and pod["metadata"]["uid"] == self._uid else None


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
