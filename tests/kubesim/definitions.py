"""CustomResourceDefinitions for tests."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SHIRTS = "/apis/stable.acme.io/v1/namespaces/default/shirts"
NAME = "shirts.stable.acme.io"
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def version(name: str = "v1", *, spec: Object | None = None, **said: Any) -> Object:
    """A version whose objects have a ``spec`` with these properties."""
    fields = {"color": {"type": "string"}, "replicas": {"type": "integer"}} if spec is None else spec
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": {"type": "object", "properties": fields}, "status": status}
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        **said,
    }


def definition(
    plural: str = "shirts", kind: str = "Shirt", *versions: Object, scope: str = "Namespaced", **names: Any
) -> Object:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.stable.acme.io"},
        "spec": {
            "group": "stable.acme.io",
            "scope": scope,
            "names": {"plural": plural, "kind": kind, **names},
            "versions": list(versions) or [version()],
        },
    }


def shirt(name: str = "red", **spec: Any) -> Object:
    return {
        "apiVersion": "stable.acme.io/v1",
        "kind": "Shirt",
        "metadata": {"name": name},
        "spec": spec or {"color": "red"},
    }
