"""ControllerRevisions: the templates that StatefulSets and DaemonSets have had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfrep.kubesim.controllers.base import Context, Writer
from pytest_selfrep.kubesim.controllers.rollout import template_hash
from pytest_selfrep.kubesim.kinds import CONTROLLER_REVISION
from pytest_selfrep.kubesim.objects import Object, key_of, labels_of, owner_reference

HASH_LABEL = "controller-revision-hash"
"""Says of a pod which revision it is of."""
_OWN_HASH_LABELS = {"StatefulSet": "controller.kubernetes.io/hash", "DaemonSet": HASH_LABEL}
"""Kinds of owners to the label that says a revision's own hash."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of one controller's objects."""

    context: Context
    writer: Writer

    def of(self, owner: Object) -> list[Object]:
        """All revisions of an object, oldest first."""
        owned = self.context.store.owned_by(owner["metadata"]["uid"])
        found = [obj for kind, obj in owned if kind is CONTROLLER_REVISION]
        return sorted(found, key=lambda each: int(each["revision"]))

    def current(self, owner: Object) -> Object:
        """The revision of the object's present template, made the newest. Raises StatusError."""
        template = owner["spec"]["template"]
        known = self.of(owner)
        newest = int(known[-1]["revision"]) if known else 0
        match = next((each for each in known if template_of(each) == template), None)
        if match is None:
            return self._create(owner, template, newest + 1)
        if match["revision"] == newest:
            return match
        raised = {**match, "metadata": dict(match["metadata"]), "revision": newest + 1}
        return self.writer.update(CONTROLLER_REVISION, raised)

    def _create(self, owner: Object, template: Object, revision: int) -> Object:
        meta, digest = owner["metadata"], template_hash(template)
        labels = {**(template["metadata"].get("labels") or {}), _OWN_HASH_LABELS[owner["kind"]]: digest}
        annotations = meta.get("annotations")
        return self.writer.create(
            CONTROLLER_REVISION,
            {
                "apiVersion": CONTROLLER_REVISION.api_version,
                "kind": CONTROLLER_REVISION.kind,
                "metadata": {
                    "name": f"{meta['name']}-{digest}",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    **({"annotations": dict(annotations)} if annotations else {}),
                    "ownerReferences": [owner_reference(owner)],
                },
                "data": {"spec": {"template": {**template, "$patch": "replace"}}},
                "revision": revision,
            },
        )

    def trim(self, owner: Object, in_use: Sequence[str]) -> None:
        """Delete the oldest beyond ``revisionHistoryLimit``, keeping those whose hashes are in use."""
        idle = [each for each in self.of(owner) if hash_of(each) not in in_use]
        excess = len(idle) - int(owner["spec"].get("revisionHistoryLimit", 10))
        for each in idle[: max(0, excess)]:
            self.writer.delete(CONTROLLER_REVISION, key_of(each))


def template_of(revision: Object) -> Object:
    """The pod template that a revision keeps."""
    template = revision["data"]["spec"]["template"]
    return {name: value for name, value in template.items() if name != "$patch"}


def hash_of(revision: Object) -> str:
    """A revision's own hash; empty if somebody has taken its label away."""
    labels = labels_of(revision)
    return next((labels[label] for label in _OWN_HASH_LABELS.values() if label in labels), "")
