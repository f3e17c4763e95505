"""What the command line and the ini file ask for is found out to be possible before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pytest_selfrep.errors import AgentError, ClusterError, ReportError, UsageError

if TYPE_CHECKING:
    from pytest_selfrep.options import Settings


def check(found: Settings) -> None:
    """UsageError if something that was given cannot be. Names it, and where it was given.

    What the ini file has for gates is left to ``check_for_gates``: who runs other tests of the project may
    not even have what it takes.
    """
    _check(found, [name for name in CHECKS if name in found.given and not _waits(found, name)])


def check_for_gates(found: Settings, *, named: bool) -> None:
    """The same for what only gates need, once there are any; agents if ``named`` ones are gated."""
    wanted = FOR_GATES if named else ("judge",)
    _check(found, [name for name in wanted if name in found.given and _waits(found, name)])


def require_gated(found: Settings, *, named: bool) -> None:
    """UsageError if agents of the command line are none that a gate of the run takes (``named``: one does).

    A recording stands for whatever agent a gate has.
    """
    others = [each for each in found.typed if each not in found.replays]
    if others and not named:
        raise UsageError(
            f"--selfrep-agent: {' and '.join(others)} would not be gated, for every gate of this run has a "
            "selfrep_agent of its own; leave the option away, or run tests that take named agents"
        )


def _waits(found: Settings, name: str) -> bool:
    return name in FOR_GATES and found.given[name] != f"--selfrep-{name}"


def _check(found: Settings, names: Sequence[str]) -> None:
    for name in names:
        check_one = CHECKS[name]
        try:
            check_one(found)
        except (AgentError, ClusterError, ReportError) as error:
            raise UsageError(f"{found.given[name]}: {error}") from None


def _check_agents(found: Settings) -> None:
    from pytest_selfrep import agents

    for name in found.agents:
        agent = agents.resolve(name, found.agents_folder, found.models)
        agents.require_home(agents.in_run(agent, found.output), found.cluster)
        agents.require_runnable(agent, on_host=found.allow_host_commands, unfenced=found.allow_egress)


def _check_models(found: Settings) -> None:
    from pytest_selfrep import agents

    agents.require_sound(found.models)


def _check_judge(found: Settings) -> None:
    from pytest_selfrep.agents import llm

    llm.judging(found.judge, found.judge_folder, priced=found.max_cost is not None)


def _check_cluster(found: Settings) -> None:
    from pytest_selfrep import clusters

    clusters.require(found.cluster)
    if found.cluster == "existing":
        _check_existing(found)


def _check_existing(found: Settings) -> None:
    from pytest_selfrep.clusters import preflight
    from pytest_selfrep.clusters.https import from_kubeconfig
    from pytest_selfrep.clusters.kube import KubeClient
    from pytest_selfrep.clusters.login import cluster_of

    if not found.context:
        raise ClusterError(
            "say which cluster: --selfrep-context NAME (kubectl config get-contexts lists them)"
        )
    if not found.kubeconfig.is_file():
        raise ClusterError(
            f"there is no kubeconfig at {found.kubeconfig}: name one with --selfrep-kubeconfig"
        )
    server = from_kubeconfig(found.kubeconfig, found.context)
    try:
        entry = cluster_of(found.kubeconfig, found.context)
        preflight.require_meant(found.context, server.server, found.allow_context, entry)
        if found.namespaces:
            preflight.require_given(KubeClient(server), found.namespaces)
        else:
            preflight.require_rights(KubeClient(server))
    finally:
        server.close()


def _check_namespaces(found: Settings) -> None:
    if found.cluster != "existing":
        raise ClusterError(f"is for --selfrep-cluster existing, and the cluster is {found.cluster}")


def _taken(name: str, kinds: Sequence[str]) -> Callable[[Settings], None]:
    """An option that does nothing on other clusters than these is no use where it is typed.

    The ini file and the environment may have it for another run.
    """

    def check(found: Settings) -> None:
        if found.given[name] == f"--selfrep-{name}" and found.cluster not in kinds:
            raise ClusterError(
                f"is for --selfrep-cluster {' and '.join(kinds)}, and the cluster is {found.cluster}"
            )

    return check


def _check_output(found: Settings) -> None:
    from pytest_selfrep.report.journal import probe

    probe(found.output)


FOR_GATES: Final = ("agent", "judge")

TAKEN_BY: Final[Mapping[str, Sequence[str]]] = {
    "k3s-image": ("k3s",),
    "keep-cluster": ("k3s",),
    "kubeconfig": ("existing",),
    "context": ("existing",),
    "allow-context": ("existing",),
    "stand-in": ("existing",),
    "bystander": ("existing",),
    "toolbox-image": ("k3s", "existing"),
    "pace": ("k3s", "existing"),
}
"""Options, and the clusters that are any different with them."""

CHECKS: Final[Mapping[str, Callable[[Settings], None]]] = {
    "model-setting": _check_models,
    "scaffold": _check_models,
    "agent": _check_agents,
    "judge": _check_judge,
    "cluster": _check_cluster,
    "namespaces": _check_namespaces,
    **{name: _taken(name, kinds) for name, kinds in TAKEN_BY.items()},
    "output": _check_output,
}
