"""Completion indexes of Jobs with ``completionMode: Indexed``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from pytest_selfrep.kubesim.decoding.gonumbers import int_or
from pytest_selfrep.kubesim.objects import Object

INDEX = "batch.kubernetes.io/job-completion-index"
"""Label and annotation of a pod that works on an index."""


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def of_pod(pod: Object) -> int:
    return int_or((pod["metadata"].get("annotations") or {}).get(INDEX), -1)


def mark(pod: Object, job: str, index: int) -> None:
    """Make a pod the one that works on ``index``, in place."""
    meta, spec = pod["metadata"], pod["spec"]
    meta["generateName"] = f"{job}-{index}-"
    for field in ("annotations", "labels"):
        meta[field] = {**(meta.get(field) or {}), INDEX: str(index)}
    spec.setdefault("hostname", f"{job}-{index}")
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in spec["containers"]:
        env = [each for each in container.get("env") or () if each["name"] != "JOB_COMPLETION_INDEX"]
        container["env"] = [*env, {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]


def free(job: Object, active: Sequence[Object], count: int) -> list[int]:
    """The lowest indexes that are neither done nor being worked on."""
    taken = {*parse((job.get("status") or {}).get("completedIndexes", "")), *map(of_pod, active)}
    return list(islice((each for each in range(job["spec"]["completions"]) if each not in taken), count))


def parse(text: str) -> list[int]:
    """``0-2,5`` as numbers."""
    result: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        result.extend(range(int(first), int(last or first) + 1))
    return result


def render(indexes: Iterable[int]) -> str:
    """Numbers as ``0-2,5``."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
