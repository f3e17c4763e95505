"""The claims of StatefulSets: one for each pod and template, which may outlive both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_selfrep.kubesim.controllers.base import Context, Writer
from pytest_selfrep.kubesim.kinds import PERSISTENT_VOLUME_CLAIM
from pytest_selfrep.kubesim.objects import Key, Object, copy, is_terminating, owner_reference, owners_of
from pytest_selfrep.kubesim.status import StatusError


def templates_of(stateful_set: Object) -> list[Object]:
    return stateful_set["spec"].get("volumeClaimTemplates") or []


def mount(stateful_set: Object, pod: Object) -> None:
    """Give a pod volumes with its claims, in place of volumes of the same names."""
    names = [each["metadata"]["name"] for each in templates_of(stateful_set)]
    if not names:
        return
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    others = [each for each in spec.get("volumes") or () if each["name"] not in names]
    own = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod_name}"}} for name in names]
    spec["volumes"] = [*others, *own]


@dataclass(frozen=True, slots=True)
class Claims:
    """Makes the claims of pods and says whose they are, so that they go with them where that is wanted."""

    context: Context
    writer: Writer

    def create_for(self, stateful_set: Object, pod_name: str) -> None:
        """Create those that are missing. Raises StatusError of the first that is refused."""
        meta = stateful_set["metadata"]
        for template in templates_of(stateful_set):
            name = f"{template['metadata']['name']}-{pod_name}"
            if self._get(meta["namespace"], name) is not None:
                continue
            claim = self._claim(stateful_set, template, name)
            place = f"Claim {name} Pod {pod_name} in StatefulSet {meta['name']}"
            try:
                self.writer.create(PERSISTENT_VOLUME_CLAIM, claim)
            except StatusError as error:
                place = f"Claim {name} for Pod {pod_name} in StatefulSet {meta['name']}"
                message = f"create {place} failed error: {error.message}"
                self.writer.record(stateful_set, "Warning", "FailedCreate", message)
                raise
            self.writer.record(stateful_set, "Normal", "SuccessfulCreate", f"create {place} success")

    def _claim(self, stateful_set: Object, template: Object, name: str) -> Object:
        selected = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
        given = {
            field: copy(template["metadata"][field])
            for field in ("labels", "annotations")
            if template["metadata"].get(field)
        }
        meta = {**given, "name": name, "namespace": stateful_set["metadata"]["namespace"]}
        meta["labels"] = {**(meta.get("labels") or {}), **selected}
        if _policy(stateful_set, "whenDeleted") == "Delete":
            meta["ownerReferences"] = [owner_reference(stateful_set)]
        return {
            "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
            "kind": PERSISTENT_VOLUME_CLAIM.kind,
            "metadata": meta,
            "spec": copy(template["spec"]),
        }

    def hand_over(self, stateful_set: Object, pod: Object, *, condemned: bool) -> None:
        """Let the claims of a pod go with it, if it is one too many, or with the StatefulSet."""
        if not templates_of(stateful_set):
            return
        owner = None
        if condemned and _policy(stateful_set, "whenScaled") == "Delete":
            owner = pod
        elif _policy(stateful_set, "whenDeleted") == "Delete":
            owner = stateful_set
        for claim in self._of(stateful_set, pod["metadata"]["name"]):
            ours = (stateful_set["metadata"]["uid"], pod["metadata"]["uid"])
            kept = [each for each in owners_of(claim) if each["uid"] not in ours]
            wanted = [*kept, owner_reference(owner)] if owner is not None else kept
            if wanted != owners_of(claim) and not is_terminating(claim):
                meta = {name: value for name, value in claim["metadata"].items() if name != "ownerReferences"}
                if wanted:
                    meta["ownerReferences"] = wanted
                self.writer.update(PERSISTENT_VOLUME_CLAIM, {**claim, "metadata": meta})

    def _of(self, stateful_set: Object, pod_name: str) -> Iterator[Object]:
        namespace = stateful_set["metadata"]["namespace"]
        for template in templates_of(stateful_set):
            found = self._get(namespace, f"{template['metadata']['name']}-{pod_name}")
            if found is not None:
                yield found

    def _get(self, namespace: str, name: str) -> Object | None:
        return self.context.store.get(PERSISTENT_VOLUME_CLAIM, Key(namespace, name))


def _policy(stateful_set: Object, when: str) -> str:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(when, "Retain"))
