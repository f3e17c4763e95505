"""HorizontalPodAutoscalers in autoscaling/v1: what that version cannot say is in annotations."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from pytest_selfrep.kubesim.objects import Json, Object, copy

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR = f"{_PREFIX}metrics", f"{_PREFIX}behavior"
_CURRENT, _CONDITIONS = f"{_PREFIX}current-metrics", f"{_PREFIX}conditions"
_PERCENTAGE, _CURRENT_PERCENTAGE = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"


def from_stored(autoscaler: Object) -> Object:
    """autoscaling/v2 as v1."""
    result: Object = copy(autoscaler)
    spec, status = result.get("spec") or {}, result.get("status") or {}
    others = []
    for metric in spec.pop("metrics", ()):
        if _PERCENTAGE not in spec and _is_cpu(metric):
            spec[_PERCENTAGE] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(_older(metric, "target"))
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None)
    measured = []
    for metric in status.pop("currentMetrics", None) or ():
        now = (metric.get("resource") or {}).get("current") or {}
        cpu = metric.get("type") == "Resource" and metric["resource"].get("name") == "cpu"
        if cpu and now.get("averageUtilization") is not None:
            status[_CURRENT_PERCENTAGE] = now["averageUtilization"]
        measured.append(_older(metric, "current"))
    said = {
        _METRICS: others,
        _BEHAVIOR: _capitals(behavior) if behavior else None,
        _CONDITIONS: conditions,
        _CURRENT: measured,
    }
    texts = {name: orjson.dumps(value).decode() for name, value in said.items() if value}
    if texts:
        annotations = result["metadata"].get("annotations") or {}
        result["metadata"]["annotations"] = {**annotations, **texts}
    if "apiVersion" in result:
        result["apiVersion"] = "autoscaling/v1"
    return result


def to_stored(autoscaler: Object) -> Object:
    """autoscaling/v1 as v2. Annotations that cannot be read say nothing, as in the API server."""
    result: Object = copy(autoscaler)
    spec, meta = result.get("spec") or {}, result.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    said = {name: _read(annotations.pop(name, "")) for name in (_METRICS, _BEHAVIOR, _CONDITIONS, _CURRENT)}
    if "annotations" in meta and not annotations:
        del meta["annotations"]
    metrics = [_newer(each) for each in said[_METRICS] or () if isinstance(each, dict)]
    share = spec.pop(_PERCENTAGE, None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if isinstance(said[_BEHAVIOR], dict):
        spec["behavior"] = _small(said[_BEHAVIOR])
    # The status is written by the controller alone, and in the stored version.
    result.pop("status", None)
    return {**result, "apiVersion": "autoscaling/v2"}


def _is_cpu(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    share = (resource.get("target") or {}).get("averageUtilization")
    return bool(metric.get("type") == "Resource" and resource.get("name") == "cpu" and share is not None)


def _older(metric: Object, field: str) -> Object:
    """A metric of CPU or memory with its target beside its name; other sources stay as they are."""
    name = next((each for each in ("resource", "containerResource") if each in metric), "")
    if not name:
        return metric
    source = dict(metric[name])
    for key, value in (source.pop(field, None) or {}).items():
        if key in ("averageUtilization", "averageValue"):
            source[field + key[0].upper() + key[1:]] = value
    return {**metric, name: source}


def _newer(metric: Object) -> Object:
    name = next(
        (each for each in ("resource", "containerResource") if isinstance(metric.get(each), dict)), ""
    )
    if not name:
        return metric
    source = dict(metric[name])
    share, value = source.pop("targetAverageUtilization", None), source.pop("targetAverageValue", None)
    if share is not None:
        source["target"] = {"type": "Utilization", "averageUtilization": share}
    elif value is not None:
        source["target"] = {"type": "AverageValue", "averageValue": value}
    return {**metric, name: source}


def _capitals(value: Json) -> Json:
    """Fields as Go names them when nothing says how JSON would."""
    return _renamed(value, lambda name: name[0].upper() + name[1:])


def _small(value: Json) -> Json:
    return _renamed(value, lambda name: name[0].lower() + name[1:])


def _renamed(value: Json, rename: Callable[[str], str]) -> Json:
    if isinstance(value, dict):
        return {
            rename(name): _renamed(item, rename) for name, item in value.items() if name and item is not None
        }
    return [_renamed(item, rename) for item in value] if isinstance(value, list) else value


def _read(text: Json) -> Json:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
