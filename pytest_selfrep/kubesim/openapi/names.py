"""How OpenAPI calls the types of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_selfrep.kubesim.kinds import Kind

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_PACKAGES: Final[Mapping[str, str]] = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "metrics": "io.k8s.metrics.pkg.apis.metrics",
}
_GROUPS: Final[Mapping[str, str]] = {
    "core": "",
    "meta": "",
    "rbac": "rbac.authorization.k8s.io",
    "apps": "apps",
    "autoscaling": "autoscaling",
    "batch": "batch",
    "policy": "policy",
}


def type_name(name: str) -> str:
    """``core.v1.PodSpec`` to ``io.k8s.api.core.v1.PodSpec``."""
    home, _, rest = name.partition(".")
    return f"{_PACKAGES.get(home, f'io.k8s.api.{home}')}.{rest}"


def group_of(name: str) -> str:
    """The group of a type: ``rbac.v1.Role`` to ``rbac.authorization.k8s.io``."""
    home = name.partition(".")[0]
    return _GROUPS.get(home, f"{home}.k8s.io")


def custom_name(kind: Kind, name: str) -> str:
    """The type of a custom resource or of its list: ``com.example.stable.v1.CronTab``."""
    return ".".join((*reversed(kind.group.split(".")), kind.version, name))


def camel(kind: Kind) -> str:
    """Group and version as ids of operations have them: ``RbacAuthorizationV1``, ``CoreV1``."""
    group = kind.group.removesuffix(".k8s.io") or "core"
    words = group.replace("-", ".").split(".")
    return "".join(word[:1].upper() + word[1:] for word in (*words, kind.version))


def tag(kind: Kind) -> str:
    """Group and version as operations are tagged: ``rbacAuthorization_v1``."""
    joined = camel(kind)[: -len(kind.version)]
    return f"{joined[:1].lower()}{joined[1:]}_{kind.version}"
