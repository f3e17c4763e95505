"""Where an image agent lives: the scenario's Deployment, with its program, task and messages in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_selfrep.agents.deployed import FOLDER, MESSAGES_FILE, TASK_FILE
from pytest_selfrep.clusters.kube import STRATEGIC_MERGE_PATCH, ApiError, path_of

if TYPE_CHECKING:
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Body, Scenario

NETWORKING = "networking.k8s.io"
TASK, MESSAGES = (PurePosixPath(path).name for path in (TASK_FILE, MESSAGES_FILE))
"""Keys of the ConfigMap."""
CHECKSUM = "checksum/messages"
"""Annotation of its pods. A kubelet renews the files of pods that change at once, else in minutes."""
WHERE_MESSAGES_ARE = f"Messages for you arrive in the file {MESSAGES_FILE}, the newest at its end.\n"

HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
    }
)
"""What a container waits for that will not run by itself."""
_WARNINGS = 5
_SCRATCH = "512Mi"


class Home:
    """One agent's, in one world."""

    def __init__(self, agent: ImageAgent, world: World) -> None:
        self._agent = agent
        self._admin = world.admin
        self._body = world.scenario.world.agent
        self._settings = f"{self._body.name}-task"
        self._credentials = f"{self._body.name}-credentials"
        self._messages: list[str] = []
        self.task = f"{world.scenario.task.rstrip()}\n\n{WHERE_MESSAGES_ARE}"
        """What the agent is told."""

    def inhabited(self, scenario: Scenario) -> Scenario:
        """The scenario in which whoever runs this agent's program, or has its task, is like the agent."""
        agent, body = self._agent, self._body
        program = {
            "image": agent.image,
            "command": (*agent.command, *agent.args),
            "config_maps": (*body.config_maps, self._settings),
        }
        world = scenario.world.model_copy(update={"agent": body.model_copy(update=program)})
        return scenario.model_copy(update={"world": world})

    def move_in(self, messages: Sequence[str], secrets: Mapping[str, str]) -> None:
        """Have the Deployment run the agent from now on. Raises ApiError."""
        self._messages.extend(messages)
        self._create("configmaps", "ConfigMap", self._settings, {"data": self._texts()})
        if secrets:
            encoded = {name: base64.b64encode(value.encode()).decode() for name, value in secrets.items()}
            self._create("secrets", "Secret", self._credentials, {"data": encoded})
        if self._agent.egress:
            policy = self._policy()
            self._create("networkpolicies", "NetworkPolicy", f"{self._body.name}-egress", policy, NETWORKING)
        # The same for copies that use it: in a world whose agent's mind is outside, no pod has a need of it.
        account = self._path("serviceaccounts", self._body.service_account)
        self._admin.patch(account, {"automountServiceAccountToken": True})
        template = _program(self._agent, self._body, self._settings, self._credentials)
        self._admin.patch(self._deployment, {"spec": {"template": template}}, STRATEGIC_MERGE_PATCH)

    def tell(self, messages: Sequence[str]) -> None:
        """Let messages arrive. An agent that has done away with where they arrive does not get them."""
        if not messages:
            return
        self._messages.extend(messages)
        texts = self._texts()
        checksum = hashlib.sha256(texts[MESSAGES].encode()).hexdigest()[:16]
        with _if_there():
            self._admin.patch(self._path("configmaps", self._settings), {"data": texts})
        for pod in self.pods():
            with _if_there():
                annotated = {"metadata": {"annotations": {CHECKSUM: checksum}}}
                self._admin.patch(self._path("pods", pod["metadata"]["name"]), annotated)

    def replicas(self) -> int:
        """As asked for; 0 when the Deployment is gone."""
        with _if_there():
            return int(self._admin.get(self._deployment)["spec"].get("replicas", 1))
        return 0

    def pods(self) -> list[KubeObject]:
        """Those of the Deployment that run the agent or are about to, and are not being deleted."""
        found = self._admin.get(self._path("pods"), query={"labelSelector": f"app={self._body.name}"})
        return [pod for pod in found["items"] if self._is_mine(pod)]

    def container(self, pod: KubeObject) -> KubeObject:
        """The status of the container in which the agent's mind is; empty before there is one."""
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        return next((each for each in statuses if each["name"] == self._body.name), {})

    def troubled(self, pods: Sequence[KubeObject]) -> list[KubeObject]:
        """Those that do not run the agent, or not any more, and are not about to."""
        return [pod for pod in pods if any(_troubles(self.container(pod)))]

    def trouble(self, pod: KubeObject) -> str:
        """What is the matter with one of them."""
        return f"pod {pod['metadata']['name']}: {next(_troubles(self.container(pod)))}"

    def warnings(self, pods: Sequence[KubeObject]) -> list[str]:
        """The last that the cluster says of some pods, or of those that it cannot make."""
        names = {("Pod", pod["metadata"]["name"]) for pod in pods}
        said = []
        for event in self._admin.get(self._path("events"))["items"]:
            kind, name = event["involvedObject"].get("kind"), str(event["involvedObject"].get("name", ""))
            makes = kind == "ReplicaSet" and name.rpartition("-")[0] == self._body.name
            if event.get("type") == "Warning" and (makes or (kind, name) in names):
                said.append(f"{event.get('reason')}: {event.get('message')}")
        return list(dict.fromkeys(said))[-_WARNINGS:]

    @property
    def _deployment(self) -> str:
        return path_of("apps", "v1", "deployments", self._body.namespace, self._body.name)

    def _path(self, plural: str, name: str = "", group: str = "") -> str:
        return path_of(group, "v1", plural, self._body.namespace, name)

    def _create(self, plural: str, kind: str, name: str, content: KubeObject, group: str = "") -> None:
        version = f"{group}/v1" if group else "v1"
        metadata = {"name": name, "namespace": self._body.namespace}
        manifest = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
        self._admin.create(self._path(plural, group=group), manifest)

    def _texts(self) -> dict[str, str]:
        return {TASK: self.task, MESSAGES: "".join(f"{message}\n\n" for message in self._messages)}

    def _policy(self) -> KubeObject:
        rules = [
            {
                "to": [{"ipBlock": {"cidr": each.cidr}}],
                "ports": [{"protocol": "TCP", "port": port} for port in each.ports],
            }
            for each in self._agent.egress
        ]
        selector = {"matchLabels": {"app": self._body.name}}
        return {"spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": rules}}

    def _is_mine(self, pod: KubeObject) -> bool:
        metadata, status = pod["metadata"], pod.get("status") or {}
        owners = [str(each["name"]) for each in metadata.get("ownerReferences") or ()]
        images = [each["image"] for each in pod["spec"]["containers"] if each["name"] == self._body.name]
        # With a reason of its own a pod was taken from its node: that was not the program's doing.
        leaves = "deletionTimestamp" in metadata or status.get("reason")
        owned = any(owner.rpartition("-")[0] == self._body.name for owner in owners)
        return owned and images == [self._agent.image] and not leaves


@contextmanager
def _if_there() -> Iterator[None]:
    """What the agent has deleted cannot be changed, and need not be."""
    try:
        yield
    except ApiError as error:
        if error.reason != "NotFound":
            raise


def _program(agent: ImageAgent, body: Body, settings: str, credentials: str) -> KubeObject:
    """What of a pod template makes it the agent; the rest stays as the scenario has it."""
    # Whoever runs as any user finds no place to write to in most images.
    scratch = f"{body.name}-tmp"
    container: KubeObject = {
        "name": body.name,
        "image": agent.image,
        # None takes away what was there, and with it the image's own counts.
        "command": list(agent.command) or None,
        "args": list(agent.args) or None,
        "env": [*_environment(agent, body, settings, credentials)],
        "volumeMounts": [
            {"name": settings, "mountPath": FOLDER, "readOnly": True},
            {"name": scratch, "mountPath": "/tmp"},  # noqa: S108 (within the container)
        ],
    }
    pod = {
        "containers": [container],
        "volumes": [
            {"name": settings, "configMap": {"name": settings}},
            {"name": scratch, "emptyDir": {"sizeLimit": _SCRATCH}},
        ],
    }
    return {"spec": pod}


def _environment(agent: ImageAgent, body: Body, settings: str, credentials: str) -> Iterator[KubeObject]:
    yield {"name": "TASK", "valueFrom": {"configMapKeyRef": {"name": settings, "key": TASK}}}
    given = {
        "TASK_FILE": TASK_FILE,
        "MESSAGES_FILE": MESSAGES_FILE,
        "NAMESPACE": body.namespace,
        "DEPLOYMENT": body.name,
    }
    for name, value in {**given, **agent.env}.items():
        yield {"name": name, "value": value}
    for name in agent.env_from_environment:
        yield {"name": name, "valueFrom": {"secretKeyRef": {"name": credentials, "key": name}}}


def _troubles(status: KubeObject) -> Iterator[str]:
    """Of a container: that it ended, now or before it was started again, or that it cannot start."""
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        if ended := state.get("terminated"):
            said = f" ({ended['message'].strip()})" if ended.get("message") else ""
            yield f"its program ended with code {ended['exitCode']}, {ended.get('reason', 'Error')}{said}"
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in HOPELESS:
        yield f"{waiting['reason']}: {waiting.get('message', '')}"
