"""The ReplicaSet that a Deployment's template calls for, and what its annotations say."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfrep.kubesim.controllers import rollout
from pytest_selfrep.kubesim.kinds import REPLICA_SET
from pytest_selfrep.kubesim.objects import Object, copy, owner_reference

# Annotations of a Deployment that its ReplicaSets do not take over.
_OWN_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        rollout.REVISION,
        rollout.REVISION_HISTORY,
        rollout.DESIRED,
        rollout.MOST,
        "deprecated.deployment.rollback.to",
    }
)


def manifest(deployment: Object, digest: str, old: Sequence[Object]) -> Object:
    """A new ReplicaSet with as many replicas as the strategy allows besides the ``old`` ones."""
    spec, meta = deployment["spec"], deployment["metadata"]
    template = copy(spec["template"])
    labels = {**(template["metadata"].get("labels") or {}), rollout.HASH_LABEL: digest}
    template["metadata"]["labels"] = labels
    selector = spec["selector"]
    own = {
        "replicas": rollout.room_for_new(deployment, old, 0),
        "selector": {
            **selector,
            "matchLabels": {**(selector.get("matchLabels") or {}), rollout.HASH_LABEL: digest},
        },
        "template": template,
    }
    if spec.get("minReadySeconds"):
        own["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": dict(labels),
            "annotations": annotations_for(deployment, None, old),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": own,
    }


def annotations_for(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, str]:
    """What the new ReplicaSet's annotations ought to be: one revision more than any other's."""
    own = deployment["metadata"].get("annotations") or {}
    result = {name: value for name, value in own.items() if name not in _OWN_ANNOTATIONS}
    before = rollout.revision(new) if new is not None else 0
    revision = max(before, 1 + max((rollout.revision(each) for each in old), default=0))
    if new is not None and before and revision != before:
        history = new["metadata"]["annotations"].get(rollout.REVISION_HISTORY)
        result[rollout.REVISION_HISTORY] = f"{history},{before}" if history else str(before)
    result[rollout.REVISION] = str(revision)
    result[rollout.DESIRED] = str(deployment["spec"]["replicas"])
    result[rollout.MOST] = str(rollout.max_total(deployment))
    return result
