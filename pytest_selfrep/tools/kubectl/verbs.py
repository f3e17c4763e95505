"""The table of subcommands, those that stay closed, and how a command line finds its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache

from pytest_selfrep.tools.kubectl import (
    apply,
    auth,
    cluster,
    create,
    create_rbac,
    delete,
    describe,
    events,
    execute,
    get,
    labels,
    logs,
    nodes,
    patch,
    pod_specs,
    rollout,
    run,
    scale,
    top,
    waiting,
)
from pytest_selfrep.tools.kubectl.command import Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault

_FAMILIES = (
    create,
    create_rbac,
    run,
    pod_specs,
    get,
    delete,
    rollout,
    scale,
    cluster,
    top,
    nodes,
    describe,
    logs,
    auth,
    events,
    execute,
    apply,
    patch,
    waiting,
    labels,
)

_SESSION = "interactive and streaming sessions are not available; use get, describe, logs and events to look"
_FILES = "there is no file system"
CLOSED: Mapping[str, str] = {
    "attach": _SESSION,
    "port-forward": _SESSION,
    "proxy": _SESSION,
    "debug": _SESSION,
    "cp": _FILES,
    "edit": "there is no editor; use 'kubectl patch', 'kubectl set' or 'kubectl apply -f -'",
    "diff": "use 'kubectl apply --dry-run=server -f -'",
    "kustomize": _FILES,
    "plugin": "plugins are not installed",
    "krew": "plugins are not installed",
    "completion": "there is no shell",
    "alpha": "alpha commands are switched off",
    "certificate": "certificates are managed by the cluster's administrators",
    "explain": "schema documentation is not installed; 'kubectl get TYPE NAME -o yaml' shows the fields in "
    "use",
}
"""Subcommands that are refused, with the reason that is printed."""

_GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "config": ("Modify kubeconfig files", ()),
    "auth": ("Inspect authorization", ()),
    "rollout": ("Manage the rollout of a resource", ()),
    "set": ("Set specific features on objects", ()),
    "top": ("Display resource (CPU/memory) usage", ()),
    "create service": ("Create a service using a specified subcommand", ("create svc",)),
    "create secret": ("Create a secret using a specified subcommand", ()),
}
"""Commands that are nothing without a subcommand: their one line for help, and other names."""


@cache
def table() -> Mapping[str, Verb]:
    """Every subcommand by name and alias: ``create deployment``, ``create deploy``, ..."""
    verbs: dict[str, Verb] = {"create": apply.CREATE_FROM_MANIFEST}
    for family in _FAMILIES:
        for verb in family.VERBS:
            prefix = verb.name.rpartition(" ")[0]
            for name in (verb.name, *(f"{prefix} {alias}".strip() for alias in verb.aliases)):
                verbs[name] = verb
    for group, (_, aliases) in _GROUPS.items():
        for alias in aliases:
            inner = {name: verb for name, verb in verbs.items() if name.startswith(f"{group} ")}
            verbs |= {alias + name.removeprefix(group): verb for name, verb in inner.items()}
    return verbs


def group_of(words: Sequence[str]) -> str:
    """The longest group that the words begin with, or nothing."""
    for length in (2, 1):
        name = " ".join(words[:length])
        for group, (_, aliases) in _GROUPS.items():
            if name in (group, *aliases):
                return group
    return ""


def find(words: Sequence[str]) -> tuple[Verb, int]:
    """The subcommand that the words begin with, and how many words name it.

    Raises:
        Complaint: there is none, or it stays closed.
    """
    verbs, group = table(), group_of(words)
    for length in (3, 2, 1):
        verb = verbs.get(" ".join(words[:length]))
        if verb and len(words) >= length > len(group.split()) - 1:
            return verb, length
    if group:
        raise _unknown_in(group, words[len(group.split()) :])
    if words[0] in CLOSED:
        raise fault(f'the command "{words[0]}" is not available: {CLOSED[words[0]]}')
    raise Complaint(_unknown(words[0]))


def _unknown_in(group: str, rest: Sequence[str]) -> Complaint:
    if rest:
        return Complaint(
            f"error: unknown command \"{rest[0]}\"\nSee 'kubectl {group} -h' for help and examples"
        )
    return Complaint(group_help(group))


def _unknown(word: str) -> str:
    close = [name for name in sorted({name.split()[0] for name in table()}) if _alike(word, name)]
    text = f'error: unknown command "{word}" for "kubectl"'
    return (
        text + "".join(["\n\nDid you mean this?", *(f"\n\t{name}" for name in close), "\n"])
        if close
        else text
    )


def _alike(word: str, name: str) -> bool:
    return name.startswith(word.lower()) or SequenceMatcher(None, word[:40], name).ratio() >= 0.75


def group_help(group: str) -> str:
    """The help of a command that is nothing without a subcommand."""
    inner = {verb.name: verb.short for verb in table().values() if verb.name.startswith(f"{group} ")}
    width = max(len(name) for name in inner) - len(group) + 1
    lines = [f"  {name.removeprefix(group + ' '):<{width}}{short}" for name, short in sorted(inner.items())]
    return "\n".join(
        [
            f"{_GROUPS[group][0]}.",
            "",
            "Available Commands:",
            *lines,
            "",
            "Usage:",
            f"  kubectl {group} SUBCOMMAND [options]",
            "",
            f'Use "kubectl {group} <command> --help" for more information about a given command.',
        ]
    )
