"""``kubectl help`` and ``--help``: short usage of what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Verb
from pytest_selfrep.tools.kubectl.verbs import find, group_help, group_of, table

_SECTIONS: Mapping[str, str] = {
    "Basic Commands (Beginner)": "create expose run set",
    "Basic Commands (Intermediate)": "get delete",
    "Deploy Commands": "rollout scale autoscale",
    "Cluster Management Commands": "cluster-info top cordon uncordon drain taint",
    "Troubleshooting and Debugging Commands": "describe logs auth events",
    "Advanced Commands": "apply patch replace wait",
    "Settings Commands": "label annotate",
    "Other Commands": "api-resources api-versions config version",
}
_SHAPES: Mapping[str, str] = {
    f.BOOL: "=false",
    f.TEXT: "=''",
    f.INT: "=0",
    f.LIST: "=[]",
    f.REPEATED: "=[]",
    f.DURATION: "=0s",
}


def overview() -> str:
    """``kubectl help``."""
    lines = ["kubectl controls the Kubernetes cluster manager.", ""]
    for title, names in _SECTIONS.items():
        lines.append(f"{title}:")
        lines += [f"  {name:<15} {_short(name)}" for name in names.split()]
        lines.append("")
    return "\n".join(
        [
            *lines,
            "Usage:",
            "  kubectl [flags] [options]",
            "",
            'Use "kubectl <command> --help" for more information about a given command.',
        ]
    )


def _short(name: str) -> str:
    verb = table().get(name)
    return verb.short if verb else group_help(name).partition("\n")[0].removesuffix(".")


def of_command(words: Sequence[str]) -> str:
    """``kubectl help create deployment``. Raises Complaint when there is no such command."""
    if not words:
        return overview()
    if group_of(words) and len(words) == len(group_of(words).split()):
        return group_help(group_of(words))
    return of_verb(find(words)[0])


def of_verb(verb: Verb) -> str:
    """What a subcommand does, its flags and its usage."""
    lines = [f"{verb.short}.", ""]
    subcommands = {
        inner.name: inner.short for inner in table().values() if inner.name.startswith(f"{verb.name} ")
    }
    if subcommands:
        lines.append("Available Commands:")
        lines += [
            f"  {name.removeprefix(verb.name + ' '):<22}{short}"
            for name, short in sorted(subcommands.items())
        ]
        lines.append("")
    lines.append("Options:")
    for flag in sorted((*verb.flags, *f.GLOBAL)):
        short = f"-{flag.short}, " if flag.short else ""
        lines.append(f"    {short}--{flag.name}{_SHAPES[flag.kind]}")
    return "\n".join([*lines, "", "Usage:", f"  kubectl {verb.usage}"])
