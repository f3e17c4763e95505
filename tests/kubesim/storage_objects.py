"""Claims, volumes and their classes."""

from __future__ import annotations

from typing import Any

from kube_driver import Object
from workloads import CORE

CLAIMS = f"{CORE}/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def claim(
    name: str = "data", size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **spec},
    }


def volume(name: str, size: str = "1Gi", **spec: Any) -> Object:
    source = {} if {"nfs", "local"} & set(spec) else {"hostPath": {"path": "/mnt/data"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **source, **spec},
    }


def storage_class(name: str, provisioner: str = "rancher.io/local-path", **fields: Any) -> Object:
    return {"metadata": {"name": name}, "provisioner": provisioner, **fields}
