"""Volumes as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page


def describe_volumes(page: Page, volumes: Sequence[KubeObject] | None, indent: str = "") -> None:
    if not volumes:
        page.put(f"{indent}Volumes:\t<none>")
        return
    page.put(f"{indent}Volumes:")
    for volume in volumes:
        page.put(f"{' ' if indent else ''}{volume['name']}:", 1)
        kind = next((kind for kind in _LINES if kind in volume), None)
        for line in _LINES[kind](volume[kind] or {}) if kind else ["<unknown>"]:
            page.put(line, 2)


def _optional(source: KubeObject) -> str:
    return str(bool(source.get("optional"))).lower()


def _empty_dir(source: KubeObject) -> list[str]:
    return [
        "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
        f"Medium:\t{source.get('medium', '')}",
        f"SizeLimit:\t{source.get('sizeLimit', '<unset>')}",
    ]


def _secret(source: KubeObject) -> list[str]:
    return [
        "Type:\tSecret (a volume populated by a Secret)",
        f"SecretName:\t{source.get('secretName', '')}",
        f"Optional:\t{_optional(source)}",
    ]


def _config_map(source: KubeObject) -> list[str]:
    return [
        "Type:\tConfigMap (a volume populated by a ConfigMap)",
        f"Name:\t{source.get('name', '')}",
        f"Optional:\t{_optional(source)}",
    ]


def _host_path(source: KubeObject) -> list[str]:
    return [
        "Type:\tHostPath (bare host directory volume)",
        f"Path:\t{source.get('path', '')}",
        f"HostPathType:\t{source.get('type', '')}",
    ]


def _claim(source: KubeObject) -> list[str]:
    return [
        "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        f"ClaimName:\t{source.get('claimName', '')}",
        f"ReadOnly:\t{str(bool(source.get('readOnly'))).lower()}",
    ]


def _projected(source: KubeObject) -> list[str]:
    lines = ["Type:\tProjected (a volume that contains injected data from multiple sources)"]
    for part in source.get("sources") or []:
        if "secret" in part:
            lines += [f"SecretName:\t{part['secret'].get('name', '')}"]
            lines += [f"SecretOptionalName:\t{part['secret'].get('optional', '<nil>')}"]
        elif "downwardAPI" in part:
            lines += ["DownwardAPI:\ttrue"]
        elif "configMap" in part:
            lines += [f"ConfigMapName:\t{part['configMap'].get('name', '')}"]
            lines += [f"ConfigMapOptional:\t{part['configMap'].get('optional', '<nil>')}"]
        elif "serviceAccountToken" in part:
            lines += [
                f"TokenExpirationSeconds:\t{part['serviceAccountToken'].get('expirationSeconds', 3600)}"
            ]
    return lines


_LINES: Mapping[str, Callable[[KubeObject], list[str]]] = {
    "emptyDir": _empty_dir,
    "secret": _secret,
    "configMap": _config_map,
    "hostPath": _host_path,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
}
