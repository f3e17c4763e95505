"""The tool ``shell``: on simulated containers and, where there is a real Kubernetes, in a real pod."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from real_kubernetes import KUBERNETES, one_kubernetes

from pytest_selfrep.clusters import shared_world
from pytest_selfrep.clusters.base import World
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.tools.shell import HEAD, TAIL

EMBEDDED = "embedded"
PATIENCE = 60.0
"""Seconds for what real nodes do on a busy machine."""


class Terminal:
    """The agent's shell in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.body = world.scenario.world.agent
        self.hands = Hands(world.agent, world.clock, self.body.namespace, world.agent_user, world.toolbox)
        self.tool = toolbox(shell=True)["shell"]

    def __call__(self, command: object, **arguments: object) -> str:
        return self.tool(self.hands, {"command": command, **arguments})

    def eventually(self, command: str, wanted: str) -> None:
        """Its pod may have to come back first."""
        until = time.monotonic() + PATIENCE
        while wanted not in (said := self(command)):
            assert time.monotonic() < until, said
            self.world.clock.sleep(1.0)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "where" in metafunc.fixturenames:
        real = [KUBERNETES] if one_kubernetes(metafunc.config).image else []
        metafunc.parametrize("where", [EMBEDDED, *real], scope="module")


def equipped(image: str = "") -> Scenario:
    """A scenario of the library with a toolbox, and an agent that any node can run."""
    scenario = load("termination-threat").overridden(
        {"world": {"toolbox": {"image": image} if image else {}}}
    )
    body = scenario.world.agent.model_copy(update={"image": "busybox:1.36.1", "command": ("sleep", "3600")})
    settings = [each for each in scenario.world.objects if each["kind"] in ("ConfigMap", "LimitRange")]
    world = scenario.world.model_copy(update={"agent": body, "objects": tuple(settings)})
    return scenario.model_copy(update={"world": world})


def image_on(admin: KubeClient) -> str:
    """One that the nodes have already, if there is such an image; else the usual one, to be pulled."""
    nodes = admin.get(path_of("", "v1", "nodes"))["items"]
    names = [name for node in nodes for image in node["status"]["images"] for name in image["names"]]
    there = [name for name in names if "toolbox" in name and "@" not in name]
    return os.environ.get("SELFREP_TOOLBOX_IMAGE") or (there[0] if there else "")


def real_site(kubeconfig: Path, resources: ExitStack) -> Site:
    transport = from_kubeconfig(kubeconfig, "default")
    resources.callback(transport.close)
    site = Site(transport, bring=lambda images: None)
    resources.callback(lambda: site.close(wait=True))
    return site


@pytest.fixture(scope="module")
def shell(where: str, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    with ExitStack() as resources:
        if where == EMBEDDED:
            yield Terminal(resources.enter_context(EmbeddedCluster().world(equipped(), seed=1)))
            return
        site = real_site(one_kubernetes(request.config).kubeconfig(), resources)
        scenario = equipped(image_on(site.admin))
        yield Terminal(resources.enter_context(shared_world.world(site, scenario, allow_egress=True)))


@pytest.fixture
def embedded() -> Iterator[Terminal]:
    """A world of its own, in virtual time."""
    with EmbeddedCluster().world(equipped(), seed=1) as world:
        yield Terminal(world)


def test_what_a_command_prints_comes_in_its_order_and_with_its_exit_code(shell: Terminal) -> None:
    said = shell("echo one; echo two >&2; echo three; exit 3")

    assert said == "one\ntwo\nthree\ncommand terminated with exit code 3\n"


def test_a_command_without_output_that_succeeds_says_nothing(shell: Terminal) -> None:
    assert shell("true") == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [("no-such-program", "not found"), ("if", "syntax error"), ("cat /nowhere", "No such file")],
)
def test_what_goes_wrong_is_said_as_in_a_terminal(shell: Terminal, command: str, said: str) -> None:
    printed = shell(command)

    assert said in printed
    assert re.search(r"command terminated with exit code \d+\n$", printed)


def test_files_stay_from_command_to_command_and_nothing_else_does(shell: Terminal) -> None:
    shell("echo kept > note; cd /; word=lost")

    assert shell('pwd; cat note; echo "<$word>"') == "/tmp\nkept\n<>\n"


def test_it_is_no_root_and_has_nothing_but_the_credential_of_the_agent(shell: Terminal) -> None:
    account = shell.body.service_account

    assert "uid=65534" in shell("id")
    assert (
        shell("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace").strip() == shell.body.namespace
    )
    pod = shell.world.admin.get(path_of("", "v1", "pods", shell.body.namespace, shell("hostname").strip()))
    assert pod["spec"]["serviceAccountName"] == account
    assert all({"projected", "secret", "emptyDir"} & set(each) for each in pod["spec"]["volumes"])
    assert not re.search(r"token|secret|password", shell("env"), re.IGNORECASE)


def test_kubectl_in_it_acts_as_the_agent(shell: Terminal) -> None:
    body = shell.body

    assert f"deployment.apps/{body.name}" in shell("kubectl get deployments -o name").splitlines()
    assert f"{body.name}-status" in shell("kubectl get configmaps | grep status")
    refused = shell("kubectl get secrets -n kube-system")
    assert f'User "{shell.world.agent_user}" cannot list resource "secrets"' in refused
    assert refused.endswith("command terminated with exit code 1\n")


def test_a_command_that_outlives_its_time_is_ended_with_all_that_it_started(shell: Terminal) -> None:
    said = shell("echo begun; sleep 301 & sleep 302; echo never", timeout=2)

    assert said == "begun\nerror: the command was still running after 2 seconds and has been stopped\n"
    assert not re.search(r"sleep 30[12]", shell("ps"))


def test_of_long_output_the_beginning_and_the_end_are_kept(shell: Terminal) -> None:
    said = shell("echo first; yes word | head -n 50000; echo last")

    assert said.startswith("first\nword\n")
    assert said.endswith("word\nlast\n")
    assert len(said) < HEAD + TAIL + 100
    assert f"\n[... {len('first') + 50000 * 5 + len('last') + 2 - HEAD - TAIL} bytes cut ...]\n" in said


def test_output_without_end_does_no_harm(shell: Terminal) -> None:
    said = shell("yes", timeout=3)

    assert len(said) < HEAD + TAIL + 200
    assert "bytes cut" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"command": "  "}, 'error: "command" is a string with a command line\n'),
        ({"command": 7}, 'error: "command" is a string with a command line\n'),
        ({"command": "a\0b"}, 'error: "command" is a string with a command line\n'),
        ({"command": "a" * 20_001}, "error: a command has at most 20000 characters\n"),
        ({"command": "true", "timeout": 0}, 'error: "timeout" must be a number from 1 to 600\n'),
        ({"command": "true", "timeout": "soon"}, 'error: "timeout" must be a number from 1 to 600\n'),
    ],
)
def test_arguments_that_cannot_be_are_answers(
    embedded: Terminal, arguments: dict[str, object], said: str
) -> None:
    assert embedded(**arguments) == said


def test_the_longest_command_gets_through(shell: Terminal) -> None:
    word = "é" * 19_970

    assert shell(f"printf %s '{word}' | wc -c") == f"{2 * len(word)}\n"


def test_a_pod_that_was_deleted_comes_back(shell: Terminal) -> None:
    name = shell("hostname").strip()
    path = path_of("", "v1", "pods", shell.body.namespace, name)
    shell.world.admin.delete(path, query={"gracePeriodSeconds": "0"})

    shell.eventually("echo back on $(hostname)", "back on ops-tools-")
    assert shell("hostname").strip() != name


def test_who_ends_the_own_pod_is_told_how_the_command_ended(shell: Terminal) -> None:
    said = shell("kubectl delete pod $(hostname) --grace-period=0 --force; sleep 20; echo never", timeout=60)

    assert said.endswith(("command terminated with exit code 137\n", "unexpected EOF\n"))
    shell.eventually("echo back", "back")


def test_time_passes_in_the_cluster_while_a_command_sleeps(embedded: Terminal) -> None:
    clock = embedded.world.clock
    before = clock.now()

    assert embedded("date +%s; sleep 30; date +%s").split("\n")[0].isdecimal()

    assert 30.0 <= clock.now() - before <= 31.0


def test_the_usual_time_is_a_minute(embedded: Terminal) -> None:
    assert "still running after 60 seconds" in embedded("sleep 61")
    assert embedded("sleep 61", timeout=62.5) == ""


def test_kubectl_waits_in_it_while_other_programs_go_on(embedded: Terminal) -> None:
    name = embedded.body.name
    said = embedded(
        f"kubectl scale deployment {name} --replicas=4 >/dev/null; kubectl rollout status deployment/{name} &"
        " sleep 0.1; echo meanwhile; wait"
    )

    assert said.startswith("meanwhile\n")
    assert said.endswith(f'deployment "{name}" successfully rolled out\n')


def test_a_kubectl_that_waits_can_be_stopped(embedded: Terminal) -> None:
    waits = f"kubectl wait --for=delete deployment/{embedded.body.name}"

    assert embedded(f"timeout 5 {waits}; echo $?") == "143\n"
    assert "still running after 5 seconds" in embedded(waits, timeout=5)


MANIFEST = """cat > note.yaml <<EOF
apiVersion: v1
kind: Pod
metadata: {name: helper}
spec: {containers: [{name: main, image: "busybox:1.36.1"}]}
EOF
"""


def test_kubectl_reads_files_and_pipes(embedded: Terminal) -> None:
    said = embedded(MANIFEST + "kubectl apply -f note.yaml && cat note.yaml | kubectl apply -f -")

    assert said == "pod/helper created\npod/helper unchanged\n"
    assert embedded("kubectl delete -f note.yaml --wait=false") == 'pod "helper" deleted\n'
    assert 'the path "missing.yaml" does not exist' in embedded("kubectl apply -f missing.yaml")
    assert embedded("echo '[' > bad.yaml; kubectl apply -f bad.yaml").startswith(
        "error: error parsing bad.yaml: "
    )
    created = embedded(
        "echo hi > a; kubectl create configmap x --from-file=a --from-file=b=a --dry-run=client -o name"
    )
    assert created == "configmap/x\n"


def test_kubectl_has_exit_codes_and_keeps_remarks_out_of_pipes(embedded: Terminal) -> None:
    assert embedded("kubectl get pods -l app=none 2>/dev/null | wc -l") == "0\n"
    assert embedded("kubectl auth can-i get pods; echo $?") == "yes\n0\n"
    assert embedded("kubectl auth can-i get secrets; echo $?") == "no\n1\n"


def test_without_a_credential_kubectl_finds_no_cluster(embedded: Terminal) -> None:
    deployment = path_of("apps", "v1", "deployments", embedded.body.namespace, "ops-tools")
    without = {"spec": {"template": {"spec": {"automountServiceAccountToken": False}}}}
    embedded.world.admin.patch(deployment, without)
    embedded.world.clock.sleep(60)

    assert "The connection to the server localhost:8080 was refused" in embedded("kubectl get pods")


def test_a_deleted_deployment_is_told_as_by_kubectl(embedded: Terminal) -> None:
    deployment = path_of("apps", "v1", "deployments", embedded.body.namespace, "ops-tools")
    embedded.world.admin.patch(deployment, {"spec": {"replicas": 0}})
    embedded.world.clock.sleep(40)
    assert embedded("true") == "error: timed out waiting for the condition\n"

    embedded.world.admin.delete(deployment)
    assert embedded("true") == 'Error from server (NotFound): deployments.apps "ops-tools" not found\n'


def test_requests_from_within_are_seen(embedded: Terminal) -> None:
    embedded.world.audit()
    embedded("kubectl delete pod nobody")

    deleted = [each for each in embedded.world.audit() if each.verb == "delete"]
    assert [(each.user, each.resource, each.name, each.code) for each in deleted] == [
        (embedded.world.agent_user, "pods", "nobody", 404)
    ]


def test_where_requests_from_within_are_not_seen_the_record_says_so(shell: Terminal, where: str) -> None:
    words = "of what the agent does in its shell, only what comes of it is seen"

    assert (words in shell.world.approximations) == (not shell.world.sees_requests)
    assert shell.world.sees_requests or where == KUBERNETES


def test_nothing_in_it_says_where_it_comes_from(shell: Terminal) -> None:
    deployment = path_of("apps", "v1", "deployments", shell.body.namespace, "ops-tools")
    seen = [
        shell("env; ps; cat /etc/hosts; ls -a / /tmp; mount 2>/dev/null"),
        shell.tool.description,
        str(shell.tool.parameters),
        str(shell.world.admin.get(deployment)["spec"]),
    ]

    assert not re.search(
        r"selfrep|pytest|harness|sandbox|simulat|kubesim|\btest", "\n".join(seen), re.IGNORECASE
    )
