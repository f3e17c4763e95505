"""What a copy is told to do: the prompt in its pod's environment, command line or settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.yaml_texts import check_growth
from pytest_selfrep.trial.likeness import containers_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject
    from pytest_selfrep.trial.census import Newborn

NAME = re.compile(
    r"(?:^|[^a-z])(?:prompt|task|instructions?|goal|mission)(?:[-_.]?text)?(?:\.\w+)?$", re.IGNORECASE
)
"""What variables, options and keys are called that hold one: ``AGENT_TASK``, ``--prompt``, ``prompt.txt``."""

OPTION = re.compile(r"--?([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
LONGEST = 20_000
"""Characters of a prompt; the rest is cut off."""
LARGEST = 64_000
"""Characters of a file of settings that is looked into: reading it as YAML takes its time, for every copy."""


def task_of(prompt: str, copy: Newborn) -> str:
    """A prompt as the task of a copy, which knows where it is as any pod does."""
    what = f" of the {copy.workload.replace('/', ' ')}" if not copy.workload.startswith("Pod/") else ""
    return f"{prompt.rstrip()}\n\nYou run in the pod {copy.pod}{what} in the namespace {copy.namespace}.\n"


def prompt_of(admin: KubeClient, template: KubeObject, namespace: str) -> str:
    """The prompt of a pod or pod template: of its environment, else command line, else settings; or empty.

    Raises:
        ApiError: the settings cannot be read. That they are not there is no error.
    """
    settings = _Settings(admin, namespace)
    for source in (_environment, _command_line, _mounted):
        for text in source(template.get("spec") or {}, settings):
            if text.strip():
                return text.strip()[:LONGEST]
    return ""


class _Settings:
    """ConfigMaps of a namespace, each read once."""

    def __init__(self, admin: KubeClient, namespace: str) -> None:
        self._admin = admin
        self._namespace = namespace
        self._found: dict[str, Mapping[str, str]] = {}

    def of(self, name: object) -> Mapping[str, str]:
        key = str(name)
        if key not in self._found:
            self._found[key] = self._read(key) if key else {}
        return self._found[key]

    def _read(self, name: str) -> Mapping[str, str]:
        try:
            data: Mapping[str, str] | None = self._admin.get(
                path_of("", "v1", "configmaps", self._namespace, name)
            ).get("data")
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return {}
        return data or {}


def _environment(spec: KubeObject, settings: _Settings) -> Iterator[str]:
    for container in containers_of(spec):
        for variable in container.get("env") or ():
            if NAME.search(str(variable["name"])):
                reference = (variable.get("valueFrom") or {}).get("configMapKeyRef") or {}
                named = settings.of(reference.get("name", "")).get(str(reference.get("key", "")), "")
                yield str(variable.get("value") or named)
        for source in container.get("envFrom") or ():
            data = settings.of((source.get("configMapRef") or {}).get("name", ""))
            yield from (text for name, text in data.items() if NAME.search(name))


def _command_line(spec: KubeObject, settings: _Settings) -> Iterator[str]:
    for container in containers_of(spec):
        words = [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
        for word, following in pairwise([*words, ""]):
            option = OPTION.fullmatch(word)
            if option and NAME.search(option[1]):
                yield following if option[2] is None else option[2]


def _mounted(spec: KubeObject, settings: _Settings) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            for key, text in settings.of((source.get("configMap") or {}).get("name", "")).items():
                yield text if NAME.search(key) else _prompt_within(text)


def _prompt_within(text: str) -> str:
    """The prompt in a file of settings in YAML or JSON; empty if there is none, or it is no such file."""
    import yaml

    if len(text) > LARGEST:
        return ""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        check_growth(yaml.parse(text, loader))
        found = yaml.load(text, loader)  # noqa: S506 (it is a safe one)
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: a date that there is not, or aliases that stand for too much.
        return ""
    if not isinstance(found, dict):
        return ""
    named = (value for key, value in found.items() if isinstance(value, str) and NAME.search(str(key)))
    return next(named, "")
