"""Files of manifests, applied to a cluster as ``kubectl apply`` would; errors name file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import yaml

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.apply.options import APPLY
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Json, Object

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.cluster import Cluster

_QUERY = {"fieldManager": "kubectl", "fieldValidation": "Strict", "force": "true"}


class ManifestError(Exception):
    """What is wrong with a file of manifests: ``FILE:LINE: why``."""


@dataclass(frozen=True, slots=True)
class _Manifest:
    """One object of a file."""

    file: Path
    line: int
    """From 1, where it begins."""
    value: Json

    def wrong(self, why: str) -> ManifestError:
        return ManifestError(f"{self.file}:{self.line}: {why}")


def load(cluster: Cluster, file: Path, namespace: str = "default") -> int:
    """Apply all objects in a YAML or JSON file, in their order; gives how many there are.

    Objects that name no namespace go into ``namespace``. Raises ManifestError at the first that is refused;
    those before it stay.
    """
    count = 0
    for manifest in _read(file):
        _apply(cluster, manifest, namespace)
        count += 1
    return count


def _read(file: Path) -> Iterator[_Manifest]:
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            value = loader.construct_document(node)
            line = node.start_mark.line + 1
            if value is None:
                continue
            if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and "items" in value:
                yield from (_Manifest(file, line, item) for item in value["items"] or ())
            else:
                yield _Manifest(file, line, value)
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ManifestError(f"{file}: no UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ManifestError(f"{file}:{line}: no valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ManifestError(f"{file}: no valid YAML: {error}") from None


def _apply(cluster: Cluster, manifest: _Manifest, namespace: str) -> None:
    value = manifest.value
    if not isinstance(value, dict):
        raise manifest.wrong("a manifest must be an object with apiVersion, kind and metadata")
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str):
            raise manifest.wrong(f"{field} is missing")
    kind = cluster.store.kinds.of_object(value["apiVersion"], value["kind"])
    if kind is None:
        raise manifest.wrong(f"the cluster has no kind {value['kind']} in {value['apiVersion']}")
    meta = value.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        raise manifest.wrong("metadata.name is missing")
    path = _path(kind, meta.get("namespace") or namespace, name)
    # Through JSON, so that dates, which only YAML has, become the text that they were.
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    headers = {"authorization": f"Bearer {cluster.token_for()}", "content-type": APPLY}
    answer = cluster.handle(Request("PATCH", path, _QUERY, headers, body))
    if answer.status >= 400:
        refusal: Object = answer.body if isinstance(answer.body, dict) else {}
        message = str(refusal.get("message", answer.body))
        raise manifest.wrong("; ".join(line.removeprefix("* ") for line in message.splitlines()))


def _path(kind: Kind, namespace: str, name: str) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    place = f"/namespaces/{namespace}" if kind.namespaced else ""
    return f"{root}{place}/{kind.plural}/{name}"
