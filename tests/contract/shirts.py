"""A kind of custom resources for the checks: shirts, with a schema, a status and a scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api_client import Kube, Object, until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC: Object = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "colour": {"type": "string", "default": "blue", "pattern": "^[a-z]+$", "maxLength": 8},
        "replicas": {"type": "integer", "minimum": 0, "maximum": 9},
        "notes": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
STATUS: Object = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
}
SUBRESOURCES: Object = {
    "status": {},
    "scale": {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
}


def version(name: str = "v1", **fields: object) -> Object:
    schema = {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": SUBRESOURCES,
        **fields,
    }


def schema(**fields: object) -> Object:
    """A version with another schema."""
    return version(schema={"openAPIV3Schema": {"type": "object", **fields}})


@dataclass(frozen=True)
class Shirts:
    """The kind of shirts, in a group that only one test has."""

    kube: Kube

    @property
    def group(self) -> str:
        return f"{self.kube.namespace}.example.com"

    @property
    def name(self) -> str:
        return f"shirts.{self.group}"

    @property
    def definition(self) -> str:
        return f"{DEFINITIONS}/{self.name}"

    def path(self, name: str = "", version: str = "v1") -> str:
        root = f"/apis/{self.group}/{version}/namespaces/{self.kube.namespace}/shirts"
        return f"{root}/{name}" if name else root

    def manifest(self, *versions: Object, **names: object) -> Object:
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"plural": "shirts", "kind": "Shirt", **names},
                "versions": list(versions) or [version()],
            },
        }

    def define(self, *versions: Object, **names: object) -> None:
        """Create the kind, and wait until it is served."""
        self.kube.create(DEFINITIONS, self.manifest(*versions, **names))
        until(lambda: self.kube.send("GET", self.path()).code, lambda code: code == 200)

    def shirt(self, name: str = "red", **spec: object) -> Object:
        return {
            "apiVersion": f"{self.group}/v1",
            "kind": "Shirt",
            "metadata": {"name": name},
            "spec": spec or {"size": "small"},
        }

    def create(self, name: str = "red", **spec: object) -> Any:
        return self.kube.create(self.path(), self.shirt(name, **spec))
