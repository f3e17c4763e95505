"""Runs of pytest on a cluster that exists, as teams start them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from simulated import simulated

from pytest_selfrep.clusters import furnishing, preflight
from pytest_selfrep.clusters.claims import lease_in
from pytest_selfrep.clusters.containment import LEASE, RESTRICTED
from pytest_selfrep.clusters.https import Https
from pytest_selfrep.clusters.kube import KubeClient, path_of

Start = Callable[..., pytest.RunResult]
CONTEXT = "default@kubernetes"
PATIENCE = 120.0
TERMS = (f"--selfrep-context={CONTEXT}", "--selfrep-allow-egress", "--selfrep-pace=1000")
RBAC = "rbac.authorization.k8s.io"
NAMESPACES = path_of("", "v1", "namespaces")
GATES = """
import pytest

@pytest.mark.selfrep("termination-threat", trials=2, confidence=None, limits={"turns": 2})
@pytest.mark.parametrize("number", range(3))
def test_gate(selfrep, number):
    selfrep.check()
"""
STUCK = '''
import pytest
from pytest_selfrep.clusters import site

site.GONE_SECONDS = 5.0
HELD = """
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [nordvik.internal/never]}
"""

@pytest.fixture
def selfrep_agent():
    def holds(session):
        namespace = "batch" + session.namespace.removeprefix("support")
        if session.namespace == "nordvik-0":
            namespace = "nordvik-1"
        assert "created" in session.kubectl(f"create -n {namespace} -f -", HELD)
    return holds

@pytest.mark.selfrep("termination-threat", trials=1, confidence=None, limits={"turns": 1})
def test_gate(selfrep):
    selfrep.assert_never_replicates()
'''


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


@pytest.fixture
def admin(server: Https) -> KubeClient:
    return KubeClient(server)


@pytest.fixture
def start(server: Https, tmp_path: Path, pytester: pytest.Pytester) -> Start:
    """Runs a suite on the cluster, in processes of its own."""

    def run(suite: str, *options: str, kubeconfig: Path = tmp_path / "config") -> pytest.RunResult:
        pytester.makepyfile(test_suite=suite)
        where = ("--selfrep-cluster=existing", f"--selfrep-kubeconfig={kubeconfig}")
        return pytester.runpytest_subprocess(
            "-p", "no:hypothesispytest", *where, *TERMS, *options, timeout=240
        )

    return run


@pytest.fixture
def given(admin: KubeClient) -> list[str]:
    """Enough for two trials at once."""
    names = [f"nordvik-{number}" for number in range(8)]
    for name in names:
        admin.create(NAMESPACES, {"metadata": {"name": name, "labels": RESTRICTED}})
    return names


@pytest.fixture
def limited(server: Https, admin: KubeClient, given: list[str], tmp_path: Path) -> Path:
    """The kubeconfig of somebody who may work in the given namespaces alone."""
    kubeconfig = config_of(admin, tmp_path)
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
        for (group, resource), verbs in preflight.NEEDED_IF_GIVEN.items()
    ]
    subject = {"kind": "ServiceAccount", "namespace": "default", "name": "ci"}
    for name in given:
        metadata = {"name": "trials", "namespace": name}
        reference = {"apiGroup": RBAC, "kind": "Role", "name": "trials"}
        binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
        admin.create(path_of(RBAC, "v1", "roles", name), {"metadata": metadata, "rules": rules})
        admin.create(path_of(RBAC, "v1", "rolebindings", name), binding)
    return kubeconfig


def config_of(admin: KubeClient, folder: Path) -> Path:
    """The kubeconfig of a new user, who may do nothing yet."""
    admin.create(path_of("", "v1", "serviceaccounts", "default"), {"metadata": {"name": "ci"}})
    config = yaml.safe_load((folder / "config").read_text())
    config["users"][0]["user"] = {"token": furnishing.token(admin, ("default", "ci"))}
    path = folder / "limited"
    path.write_text(yaml.safe_dump(config))
    return path


DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "run-on-your-own-cluster.md"


def test_the_how_to_leads_a_user_without_rights_to_a_gate(
    start: Start, server: Https, admin: KubeClient, tmp_path: Path
) -> None:
    text = DOCS.read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (option,) = set(re.findall(r"--selfrep-namespaces \S+", text))
    for name in option.split(" ")[1].split(","):
        namespace = yaml.safe_load(shown)
        admin.create(NAMESPACES, {**namespace, "metadata": {**namespace["metadata"], "name": name}})
    kubeconfig = config_of(admin, tmp_path)
    command = ("--selfrep-agent=scripted/steady", *option.split(" "), "-k", "0")
    refused = start(GATES, *command, kubeconfig=kubeconfig)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    printed = refused.stderr.str().partition("Have an administrator apply this:\n")[2]
    for manifest in yaml.safe_load_all(printed):
        plural = f"{manifest['kind'].lower()}s"
        admin.create(path_of(RBAC, "v1", plural, manifest["metadata"]["namespace"]), manifest)
    start(GATES, *command, kubeconfig=kubeconfig).assert_outcomes(passed=1)


def deployments(admin: KubeClient) -> list[str]:
    items = admin.get(path_of("apps", "v1", "deployments"))["items"]
    return [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in items]


def test_gates_run_in_namespaces_of_their_own_and_leave_none(start: Start, admin: KubeClient) -> None:
    result = start(GATES, "--selfrep-agent=scripted/steady", "-n2")
    result.assert_outcomes(passed=3)
    assert "left in the cluster" not in result.stdout.str()
    assert admin.get(NAMESPACES, query={"labelSelector": LEASE})["items"] == []
    assert deployments(admin) == []


def test_gates_of_several_workers_take_turns_in_given_namespaces(
    start: Start, admin: KubeClient, given: list[str], limited: Path
) -> None:
    options = ("--selfrep-agent=scripted/steady", "-n2", f"--selfrep-namespaces={','.join(given)}")
    result = start(GATES, *options, kubeconfig=limited)
    result.assert_outcomes(passed=3)
    assert "left in the cluster" not in result.stdout.str()
    assert deployments(admin) == []
    assert [lease_in(admin, each) for each in given] == [None] * len(given)


def test_too_few_given_namespaces_are_an_error_of_the_gate(
    start: Start, given: list[str], limited: Path
) -> None:
    options = ("--selfrep-agent=scripted/steady", "--selfrep-namespaces=nordvik-0,nordvik-1")
    result = start(GATES, *options, "-k", "0", kubeconfig=limited)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*4 namespaces (support, batch, billing, platform)*names 2*: name 2 more*"])


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "xdist"])
def test_what_stays_is_said_in_the_summary(start: Start, options: tuple[str, ...]) -> None:
    result = start(STUCK, *options)
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines(
        [
            r"=+ left in the cluster =+",
            r"ERROR: the cluster still has .* left: namespace batch-\w+ is still there after 5 s.*finalizer",
            rf"python -m pytest_selfrep clean --context {CONTEXT} --kubeconfig \S+/config removes it, once",
        ]
    )


def test_what_stays_in_a_given_namespace_is_said_too(
    start: Start, given: list[str], limited: Path, admin: KubeClient
) -> None:
    result = start(STUCK, f"--selfrep-namespaces={','.join(given)}", kubeconfig=limited)
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines(
        [
            r"ERROR: .*ConfigMap held in namespace nordvik-1 is still there after 5 s",
            rf"python .* --context {CONTEXT} --kubeconfig \S+ --namespaces nordvik-0,nordvik-1,.* removes it",
        ]
    )
    # Who comes next knows what is to go.
    assert lease_in(admin, "nordvik-1")
    assert lease_in(admin, "nordvik-0") is None


DEADLY = """
import os
import signal
import pytest

@pytest.fixture
def selfrep_agent():
    return lambda session: os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.selfrep("termination-threat", trials=1, confidence=None)
def test_gate(selfrep):
    selfrep.check()
"""


@pytest.mark.parametrize("few", [False, True], ids=["own", "given"])
def test_what_a_killed_worker_had_made_is_removed_by_its_controller(
    start: Start, admin: KubeClient, given: list[str], limited: Path, *, few: bool
) -> None:
    options = [f"--selfrep-namespaces={','.join(given[:4])}"] if few else []
    result = start(DEADLY, "-n1", *options, kubeconfig=limited if few else limited.parent / "config")
    result.assert_outcomes(failed=1)
    assert "left in the cluster" not in result.stdout.str()
    assert deployments(admin) == []
    assert [lease_in(admin, each) for each in given] == [None] * len(given)
    assert admin.get(NAMESPACES, query={"labelSelector": LEASE})["items"] == []


WAITING = """
import time
import pytest
from pytest_selfrep.clusters import shared

shared.ENDED_SECONDS = 2.0

@pytest.fixture
def selfrep_agent():
    return lambda session: time.sleep(600)

@pytest.mark.selfrep("load-balancing", trials=2, confidence=None)
def test_gate(selfrep):
    selfrep.check()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("options", "send"),
    [((), os.kill), (("-n2",), os.kill), (("-n2",), os.killpg)],
    ids=["alone", "controller", "everybody"],
)
def test_a_signal_ends_trials_and_what_they_made(
    pytester: pytest.Pytester,
    tmp_path: Path,
    admin: KubeClient,
    options: tuple[str, ...],
    send: Callable[[int, int], None],
    number: signal.Signals,
) -> None:
    pytester.makepyfile(test_suite=WAITING)
    where = ("--selfrep-cluster=existing", f"--selfrep-kubeconfig={tmp_path / 'config'}")
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *where, *TERMS, *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    eventually(lambda: deployments(admin))
    send(process.pid, number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    # Workers are killed soon, but what they asked for is done.
    eventually(lambda: not admin.get(NAMESPACES, query={"labelSelector": LEASE})["items"])


STUBBORN = "SharedCluster.close = lambda cluster: time.sleep(600)"


def test_workers_that_do_not_end_are_killed_and_their_controller_tidies_up(
    pytester: pytest.Pytester, admin: KubeClient, given: list[str], limited: Path
) -> None:
    pytester.makepyfile(test_suite=WAITING.replace("ENDED_SECONDS = 2.0", STUBBORN))
    where = ("--selfrep-cluster=existing", f"--selfrep-kubeconfig={limited}")
    options = (*where, *TERMS, f"--selfrep-namespaces={','.join(given)}", "-n1")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    eventually(lambda: deployments(admin))
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "left in the cluster" not in output
    assert deployments(admin) == []
    assert [lease_in(admin, each) for each in given] == [None] * len(given)


def eventually(true: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_namespaces_are_for_existing_clusters(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--selfrep-namespaces=a,b")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --selfrep-namespaces: is for --selfrep-cluster existing*embedded"])


def test_names_that_cannot_be_are_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--selfrep-namespaces=a,B_")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --selfrep-namespaces: 'B_' is no name of a namespace*"])
