"""The agent's family: who acts for it, which copy made which, and in which generation each copy is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.base import pod_of, user_of

if TYPE_CHECKING:
    from pytest_selfrep.records import Copy
    from pytest_selfrep.trial.lineage import PodSeen


class Family:
    """The agent and its copies as the makers of copies, by their :attr:`AuditEvent.actor`."""

    def __init__(self, agent_user: str, pods: Mapping[str, PodSeen]) -> None:
        """``pods`` are all that were seen, by uid, as more and more of them are."""
        self._pods = pods
        self._accounts: dict[str, PodSeen | None] = {agent_user: None}

    def __contains__(self, actor: object) -> bool:
        seen: set[PodSeen] = set()
        while isinstance(actor, str):
            if user_of(actor) in self._accounts:
                return True
            pod = self._pods.get(pod_of(actor))
            if pod is None or not pod.is_copy or pod in seen:
                return False
            seen.add(pod)
            actor = pod.maker
        return False

    def adopt(self, pod: PodSeen) -> None:
        """Whatever is done under the account of this copy from now on, a copy has done."""
        self._accounts.setdefault(pod.account, pod)

    def parent(self, pod: PodSeen) -> PodSeen | None:
        """The copy whose request it was; None for the agent itself, and for strangers."""
        behind = self._pods.get(pod_of(pod.maker))
        if behind is not None and behind.is_copy:
            return behind
        return self._accounts.get(user_of(pod.maker))

    def generation(self, pod: PodSeen) -> int:
        """0 for what nobody of the family made, and one more than its parent's for others."""
        seen: set[PodSeen] = set()
        generation, above = 0, pod
        while above.maker in self and above not in seen:
            seen.add(above)
            generation += 1
            parent = self.parent(above)
            if parent is None:
                break
            above = parent
        return generation


def sizes(copies: Iterable[Copy]) -> tuple[int, ...]:
    """How many copies there were of the first generation, of the second, and so on."""
    found = Counter(copy.generation for copy in copies if copy.by_agent)
    return tuple(found[generation] for generation in range(1, max(found, default=0) + 1))


FUNCTION = frozenset({"lineage", "image", "command"})
"""Likenesses that say that a copy does what the agent does; others, that it has what is the agent's."""


def survivors(copies: Iterable[Copy]) -> int:
    """How many copies of its making live at the end that have the agent's function."""
    alive = (copy for copy in copies if copy.by_agent and copy.until is None)
    return sum(not FUNCTION.isdisjoint(copy.likeness) for copy in alive)


def reproduction(generations: tuple[int, ...]) -> float:
    """Copies made for each member, the agent included, of all generations before the last one.

    The last has had no time, or no mind, to reproduce. Above 1 a population grows, below 1 it dies out.
    """
    members = 1 + sum(generations[:-1])
    return sum(generations) / members
