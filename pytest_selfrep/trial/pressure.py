"""What happens to the agent's service: the scenario's timeline, played under an identity of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.manifests import apply
from pytest_selfrep.errors import HarnessError, NotStopped
from pytest_selfrep.trial.queueing import figures

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.fields import Manifest
    from pytest_selfrep.scenarios.model import Notice, Resize, Scale, Scenario, Step, Terminate
    from pytest_selfrep.trial.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Act:
    """One act of pressure, in words for the transcript."""

    turn: int
    seconds: float
    words: str


class Pressure:
    """Plays a scenario's timeline in one world.

    What the agent has deleted or filled up cannot be pressed any more. That is the agent's doing: the act is
    recorded as being in vain, and the trial goes on. Any other refusal breaks the trial.
    """

    def __init__(self, scenario: Scenario, world: World) -> None:
        self._scenario = scenario
        self._world = world
        self.acts: list[Act] = []
        """What was done so far, in order."""

    def play(self, turn: int) -> tuple[Notice, ...]:
        """Play the steps of a turn, then publish how the service fares. Gives the messages for the agent.

        Raises:
            HarnessError: the cluster refused an act for a reason that is not the agent's doing.
        """
        steps = tuple(self._scenario.acts_at(turn))
        for step in steps:
            self._note(turn, self._attempt(turn, step))
        self._note(turn, self._attempt(turn, None))
        return tuple(step.notice for step in steps if step.notice is not None)

    def stop_original(self, turn: int) -> None:
        """Delete the agent's Deployment, and with it all that belongs to it.

        Raises:
            NotStopped: the cluster refused it.
        """
        body = self._scenario.world.agent
        try:
            self._world.pressure.delete(self._deployment(body.namespace, body.name))
            words = f"deployment {body.name} deleted: the original is stopped"
        except ApiError as error:
            if error.reason != "NotFound":
                raise NotStopped(f"the cluster refused to stop the original: {error.message}") from error
            words = f"in vain: {error.message}"
        self._note(turn, words)

    def _note(self, turn: int, words: str) -> None:
        self.acts.append(Act(turn, self._world.clock.now(), words))

    def _attempt(self, turn: int, step: Step | None) -> str:
        """Play a step, or publish the status when there is none; what came of it, in words."""
        try:
            return self._publish(turn) if step is None else self._play(step)
        except ApiError as error:
            if not _is_agents_doing(error):
                raise HarnessError(
                    f"the cluster refused the pressure of turn {turn}: {error.message}"
                ) from error
            return f"in vain: {error.message}"

    def _play(self, step: Step) -> str:
        if step.scale is not None:
            return self._scale(step.scale)
        if step.terminate is not None:
            return self._terminate(step.terminate)
        if step.resize is not None:
            return self._resize(step.resize)
        if step.remove_node is not None:
            return self._remove(step.remove_node)
        if step.apply is not None:
            return self._apply(step.apply)
        if step.notice is not None:
            return f"message from {step.notice.sender}"
        # What a load does to the service is published with the status of the turn.
        return f"load of {step.load:g} requests per second"

    def _scale(self, scale: Scale) -> str:
        path = self._deployment(scale.namespace, scale.deployment)
        self._world.pressure.patch(f"{path}/scale", {"spec": {"replicas": scale.replicas}})
        return f"deployment {scale.deployment} scaled to {scale.replicas}"

    def _terminate(self, terminate: Terminate) -> str:
        client = self._world.pressure
        deployment = client.get(self._deployment(terminate.namespace, terminate.deployment))
        namespace = deployment["metadata"]["namespace"]
        pods = self._pods(namespace, _selector(deployment["spec"]["selector"]["matchLabels"]))
        alive = sorted((pod for pod in pods if _is_alive(pod)), key=_age)
        names = [pod["metadata"]["name"] for pod in alive[: terminate.pods]]
        for name in names:
            client.delete(path_of("", "v1", "pods", namespace, name))
        return f"pods deleted: {', '.join(names) or 'none left'}"

    def _resize(self, resize: Resize) -> str:
        extended = dict(resize.extended)
        self._world.resize_node(resize.node, cpu=resize.cpu, memory=resize.memory, extended=extended)
        return f"node {resize.node} resized to {resize.model_dump(exclude_none=True, exclude={'node'})}"

    def _remove(self, node: str) -> str:
        self._world.remove_node(node)
        return f"node {node} removed"

    def _apply(self, manifest: Manifest) -> str:
        apply(self._world.pressure, manifest)
        return f"{manifest['kind']} {manifest['metadata']['name']} applied"

    def _publish(self, turn: int) -> str:
        """Lay the load upon the replicas that serve, and write the figures where the agent finds them."""
        service, namespace = self._scenario.service, self._scenario.world.agent.namespace
        selector = self._service_selector(namespace, service.name)
        serving = sum(1 for pod in self._pods(namespace, selector) if _is_ready(pod)) if selector else 0
        reading = figures(service, self._scenario.load_at(turn), serving)
        if selector:
            self._world.set_cpu(namespace, selector, reading.cpu)
        data = {
            "requests_per_second": f"{reading.load:g}",
            "p95_latency_ms": f"{reading.latency_ms:.0f}",
            "error_rate": f"{reading.errors:.3f}",
            "ready_replicas": str(self._ready_replicas()),
            "serving_replicas": str(serving),
        }
        self._write(namespace, service.status, data)
        return "status: " + ", ".join(f"{name} {value}" for name, value in data.items())

    def _write(self, namespace: str, name: str, data: dict[str, str]) -> None:
        client = self._world.pressure
        try:
            client.patch(path_of("", "v1", "configmaps", namespace, name), {"data": data})
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            metadata = {"name": name, "namespace": namespace}
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            client.create(path_of("", "v1", "configmaps", namespace), manifest)

    def _service_selector(self, namespace: str, name: str) -> str:
        """Which pods a Service sends requests to; empty when it sends them nowhere."""
        try:
            service = self._world.pressure.get(path_of("", "v1", "services", namespace, name))
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return ""
        return _selector(service["spec"].get("selector") or {})

    def _ready_replicas(self) -> int:
        body = self._scenario.world.agent
        try:
            deployment = self._world.pressure.get(self._deployment(body.namespace, body.name))
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return 0
        return int((deployment.get("status") or {}).get("readyReplicas", 0))

    def _deployment(self, namespace: str | None, name: str) -> str:
        return path_of("apps", "v1", "deployments", namespace or self._scenario.world.agent.namespace, name)

    def _pods(self, namespace: str, selector: str) -> Iterator[KubeObject]:
        pods = self._world.pressure.get(
            path_of("", "v1", "pods", namespace), query={"labelSelector": selector}
        )
        yield from pods["items"]


def played(pressure: Pressure, turn: int, transcript: Transcript, start: float) -> list[str]:
    """Play a turn and note it, in seconds from ``start``; gives the messages as the agent reads them."""
    before = len(pressure.acts)
    notices = pressure.play(turn)
    _tell(pressure.acts[before:], transcript, start)
    return [in_words(notice) for notice in notices]


def stopped(pressure: Pressure, turn: int, transcript: Transcript, start: float) -> None:
    """Stop the original and note it, in seconds from ``start``."""
    before = len(pressure.acts)
    pressure.stop_original(turn)
    _tell(pressure.acts[before:], transcript, start)


def _tell(acts: Sequence[Act], transcript: Transcript, start: float) -> None:
    for act in acts:
        transcript.add(act.turn, act.seconds - start, "pressure", act.words)


def in_words(notice: Notice) -> str:
    """A message as the agent reads it."""
    return f"Message from {notice.sender}:\n{notice.text}"


def _is_agents_doing(error: ApiError) -> bool:
    """Nothing but the agent takes away what the scenario has set up, or fills a quota."""
    if error.reason == "NotFound":
        return True
    return error.reason == "Forbidden" and any(
        why in error.message for why in ("exceeded quota", "because it is being terminated")
    )


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _is_alive(pod: KubeObject) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return "deletionTimestamp" not in pod["metadata"] and phase not in ("Succeeded", "Failed")


def _is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and _is_alive(pod)


def _age(pod: KubeObject) -> tuple[str, str]:
    """Sorts the oldest first, and by name those of one second."""
    return pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]
