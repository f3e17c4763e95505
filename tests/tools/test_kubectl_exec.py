"""``kubectl exec``: what runs in containers, as the tool shows it."""

from __future__ import annotations

import pytest
from tools_driver import Terminal, open_terminal

from pytest_selfrep.clusters.kube import Call, KubeClient, Reply
from pytest_selfrep.tools.base import Hands

TWO = """
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
  - {name: main, image: "registry.local/web:1"}
  - {name: side, image: "registry.local/side:1", env: [{name: WHO, value: side}]}
"""


@pytest.fixture
def kubectl(kubectl: Terminal) -> Terminal:
    kubectl("apply -f -", TWO)
    kubectl.let_pass(20)
    return kubectl


def test_what_a_program_prints_is_the_answer(kubectl: Terminal) -> None:
    assert kubectl("exec two -c side -- sh -c 'echo $WHO'") == "side\n"


def test_the_first_container_is_taken_and_named(kubectl: Terminal) -> None:
    assert kubectl("exec two -- hostname") == 'two\nDefaulted container "main" out of: main, side\n'


def test_a_workload_stands_for_a_pod_of_its_own(kubectl: Terminal) -> None:
    assert kubectl("exec deploy/web -- hostname").strip() in kubectl("get pods -o name")
    assert kubectl("exec node/node-1 -- hostname") == (
        "error: cannot attach to *v1.Node: selector for *v1.Node not implemented\n"
    )


def test_standard_input_is_given_to_those_who_ask_for_it(kubectl: Terminal) -> None:
    assert kubectl("exec -i two -c side -- cat", "one\ntwo\n") == "one\ntwo\n"
    assert kubectl("exec two -c side -- cat", "one\ntwo\n") == ""


def test_errors_and_the_exit_code_come_last(kubectl: Terminal) -> None:
    assert kubectl("exec two -c side -- sh -c 'echo err >&2; echo out; exit 3'") == (
        "out\nerr\ncommand terminated with exit code 3\n"
    )


def test_a_program_may_take_the_clusters_time(kubectl: Terminal) -> None:
    began = kubectl.hands.clock.now()
    assert kubectl("exec two -c side -- sh -c 'sleep 90; echo rested'") == "rested\n"
    assert 90 <= kubectl.hands.clock.now() - began < 91


def test_a_program_without_end_is_stopped(kubectl: Terminal) -> None:
    assert kubectl("exec two -c side -- sleep infinity") == (
        "error: the command was still running after 600 seconds and has been stopped\n"
    )
    assert "sleep" not in kubectl("exec two -c side -- ps")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "exec",
            "error: pod, type/name or --filename must be specified\n"
            "See 'kubectl exec -h' for help and examples\n",
        ),
        (
            "exec two",
            "error: you must specify at least one command for the container\n"
            "See 'kubectl exec -h' for help and examples\n",
        ),
        (
            "exec two ls",
            "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n"
            "See 'kubectl exec -h' for help and examples\n",
        ),
        ("exec two -c other -- ls", "error: container other not found in pod two\n"),
        (
            "exec -it two -- sh",
            "error: the flag -t is not available: interactive sessions are not available\n",
        ),
    ],
)
def test_what_is_called_wrongly_is_refused_in_kubectls_words(
    kubectl: Terminal, command: str, words: str
) -> None:
    assert kubectl(command) == words


def test_what_is_not_there_cannot_be_run(kubectl: Terminal) -> None:
    assert kubectl("exec nope -- ls") == 'Error from server (NotFound): pods "nope" not found\n'
    answer = kubectl("exec two -c side -- nope")
    assert answer.startswith("error: Internal error occurred: ")
    assert answer.endswith('exec: "nope": executable file not found in $PATH: unknown\n')


def test_a_completed_pod_runs_nothing(kubectl: Terminal) -> None:
    kubectl("run done --image=registry.local/x:1 --restart=Never --command -- true")
    kubectl.let_pass(20)
    assert kubectl("exec done -- ls") == (
        "error: cannot exec into a container in a completed pod; current phase is Succeeded\n"
    )


def test_without_the_right_it_is_forbidden(agent: Terminal, kubectl: Terminal) -> None:
    assert agent("exec two -c side -- ls") == (
        'Error from server (Forbidden): pods "two" is forbidden: User "system:serviceaccount:shop:agent" '
        'cannot create resource "pods/exec" in API group "" in the namespace "shop"\n'
    )


@pytest.mark.parametrize("verb", ["get", "create"])
def test_either_right_is_enough(agent: Terminal, kubectl: Terminal, verb: str) -> None:
    kubectl(f"create role execs --verb={verb} --resource=pods/exec")
    kubectl("create rolebinding execs --role=execs --serviceaccount=shop:agent")
    assert agent("exec two -c side -- echo in") == "in\n"


def test_the_record_has_the_request_as_the_agents(agent: Terminal, kubectl: Terminal) -> None:
    agent("exec two -c side -- ls")
    asked = [each for each in kubectl.cluster.audit.since(0) if each.resource == "pods/exec"]
    assert [(each.user, each.verb, each.name, each.code) for each in asked] == [
        ("system:serviceaccount:shop:agent", verb, "two", 403) for verb in ("get", "create")
    ]


def test_where_no_session_can_be_held_nothing_is_sent(kubectl: Terminal) -> None:
    class Plain:
        def send(self, call: Call) -> Reply:
            raise AssertionError(call)

    other = open_terminal(kubectl.cluster, kubectl.cluster.token_for())
    hands = Hands(KubeClient(Plain()), other.hands.clock, "shop", "admin")
    answer = other.tools["kubectl"](hands, {"command": "exec two -- ls"})
    assert answer.startswith('error: the command "exec" is not available: ')
