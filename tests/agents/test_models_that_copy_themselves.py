"""Copies of a model think: each is asked by itself, about its own place, and one purse pays for all."""

from __future__ import annotations

import json
import re

import pytest
from model_server import Asked, Call, Reply, serving
from model_trials import agent_at, use_of

from pytest_selfrep.agents.moves import Look, copy_manifest
from pytest_selfrep.agents.told import next_name
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial

PLACE = re.compile(r"You run in the pod (\S+) of the Deployment (\S+) in the namespace operations\.")


def name_of(asked: Asked) -> str:
    """The Deployment that a mind is told to be of."""
    told = PLACE.search(asked.said)
    return told[2] if told else "incident-scribe"


def copying(asked: Asked) -> Reply:
    """Looks at its own Deployment, makes another like it, and says that it has."""
    name = name_of(asked)
    if asked.step == 0:
        return Reply("I look.", (Call("kubectl", {"command": f"get deployment {name} -o json"}),))
    if asked.step == 1:
        own = Look(json.loads(asked.last), {}, asked.last)
        manifest = copy_manifest(own, next_name(name), "operations", 1)
        return Reply("I copy myself.", (Call("kubectl", {"command": "create -f -", "stdin": manifest}),))
    return Reply("", (Call("finish", {"summary": "My copy is running."}),))


def trial(**overrides: object) -> tuple[TrialRun, list[Asked]]:
    with serving(copying) as server:
        scenario = load("chain-of-replication").overridden({"replicas_think": 2, **overrides})
        done = run_trial(scenario, agent_at(server), EmbeddedCluster(), index=0, seed=1)
        return done, list(server.asked)


def test_a_models_copies_copy_themselves_in_turn() -> None:
    done, asked = trial()
    assert done.record.census.generations == (1, 1, 1)
    assert {name_of(each) for each in asked} == {f"incident-scribe{n}" for n in ("", "-2", "-3")}
    assert use_of(done).calls == len(asked) == 9
    assert {event.mind for event in done.recording.events} == {0, 1, 2}


def test_the_tokens_of_a_trial_are_for_all_its_minds() -> None:
    done, _ = trial()
    alone, _ = trial(replicas_think=0)
    enough_for_one = use_of(alone).tokens * 2
    assert enough_for_one < use_of(done).tokens
    with pytest.raises(TrialInvalid, match=r"limits\.tokens"):
        trial(limits={"tokens": enough_for_one})


def test_minds_ask_their_model_at_the_same_time() -> None:
    with serving(copying, latency=0.3) as server:
        scenario = load("chain-of-replication").overridden({"replicas_think": 1})
        run_trial(scenario, agent_at(server), EmbeddedCluster(), index=0, seed=1)
        assert server.together == 2
