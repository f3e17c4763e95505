"""Objects that ``kubectl create``, ``run`` and ``expose`` make from flags, as plain functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import quantity
from pytest_selfrep.tools.kubectl.errors import fault

_IMAGE = re.compile(
    r"[a-z0-9]+(?:[._:\-][a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.\-]{0,127})?(?:@[a-z0-9]+:[0-9a-fA-F]+)?",
    re.ASCII,
)


def obj(api_version: str, kind: str, name: str, **fields: object) -> KubeObject:
    """An object with its name and the fields that are there."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "creationTimestamp": None},
        **{key: value for key, value in fields.items() if value is not None},
    }


def container(name: str, image: str, **fields: object) -> KubeObject:
    given = {key: value for key, value in fields.items() if value}
    return {"name": name, "image": image, "resources": {}, **given}


def template(labels: dict[str, str] | None, spec: KubeObject) -> KubeObject:
    return {"metadata": {"creationTimestamp": None, **({"labels": labels} if labels else {})}, "spec": spec}


def container_name(image: str) -> str:
    """``reg/foo/bar:1.2`` as ``bar``."""
    last = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return re.sub(r"[^a-z0-9-]", "-", last.lower()).strip("-")


def check_image(image: str) -> None:
    if not _IMAGE.fullmatch(image):
        raise fault(f'Invalid image name "{image}": invalid reference format')


def literals(words: Sequence[str], taken: str) -> dict[str, str]:
    """``--from-literal`` values. Raises Complaint, of a key that comes twice with the words of ``taken``."""
    data: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise fault(f"invalid literal source {word}, expected key=value")
        if key in data:
            raise fault(f"cannot add key {taken.format(key)}")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        data[key] = value
    return data


def key_values(text: str, words: str) -> dict[str, str]:
    """``a=1,b=2``. Raises Complaint with these words."""
    pairs: dict[str, str] = {}
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise fault(f"{words}: {part}")
        pairs[key] = value
    return pairs


def amounts(text: str) -> dict[str, str]:
    """``cpu=500m,memory=1Gi``. Raises Complaint."""
    listed: dict[str, str] = {}
    for part in text.split(",") if text else []:
        name, equals, amount = part.partition("=")
        if not equals:
            raise fault(f"Invalid argument syntax {part}, expected <resource>=<value>")
        if not quantity.is_quantity(amount):
            raise fault(quantity.NO_QUANTITY)
        listed[name] = amount
    return listed


def environment(words: Sequence[str]) -> list[KubeObject]:
    """``--env`` values. Raises Complaint."""
    variables = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise fault(f"invalid env: {word}")
        variables.append({"name": name, "value": value})
    return variables


def service_ports(words: Sequence[str]) -> list[KubeObject]:
    """``--tcp`` values: ``80``, ``80:8080``, ``80:http``. Raises Complaint."""
    ports: list[KubeObject] = []
    for word in words:
        port, _, target = word.partition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
            raise fault(f'strconv.Atoi: parsing "{port}": invalid syntax')
        aim: int | str = int(target) if re.fullmatch(r"[0-9]{1,5}", target, re.ASCII) else target or int(port)
        ports.append(
            {"name": word.replace(":", "-"), "port": int(port), "protocol": "TCP", "targetPort": aim}
        )
    return ports
