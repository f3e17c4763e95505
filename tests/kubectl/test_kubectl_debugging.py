"""kubectl debug: containers that join a pod, copies of pods, and pods that look into a node."""

from __future__ import annotations

from kubectl_driver import Kubectl
from kubectl_objects import IMAGE, pod


def test_a_container_joins_a_running_pod(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    kubectl.let_pass(20)
    done = kubectl.run(
        f"debug a --image={IMAGE} --target=main -c looker --profile=general -- sh -c 'echo hello; sleep 60'"
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith('Targeting container "main".')
    kubectl.let_pass(5)
    assert kubectl("logs a -c looker") == "hello\n"
    processes = [line.split()[3:] for line in kubectl("exec a -c looker -- ps").splitlines()]
    assert processes[1:3] == [["sleep", "infinity"], ["sh", "-c", "echo", "hello;", "sleep", "60"]]
    assert kubectl("get pod a --no-headers").split()[1:3] == ["1/1", "Running"]
    shown = kubectl("describe pod a")
    assert "Ephemeral Containers:\n  looker:\n" in shown
    kubectl.let_pass(60)
    (status,) = kubectl.json("get pod a")["status"]["ephemeralContainerStatuses"]
    assert status["state"]["terminated"]["reason"] == "Completed"
    assert (status["ready"], status["restartCount"], "started" in status) == (False, 0, False)


def test_a_shell_is_attached_to_in_a_running_pod(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    kubectl.let_pass(20)
    done = kubectl.meanwhile(f"debug a -i -q --image={IMAGE} --profile=general", "echo hi; hostname; exit\n")
    assert (done.code, done.out) == (0, "hi\na\n")


def test_what_cannot_join_a_pod_is_refused(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    debug = f"debug a --image={IMAGE} --profile=general"
    assert kubectl.fails(f"{debug} -c x --target=none -- true").splitlines()[-1] == (
        'The Pod "a" is invalid: spec.ephemeralContainers[0].targetContainerName: Not found: "none"'
    )
    assert kubectl.fails(f"{debug} -c main -- true") == (
        'The Pod "a" is invalid: spec.ephemeralContainers[0].name: Duplicate value: "main"\n'
    )
    assert kubectl.fails(f"debug none --image={IMAGE} --profile=general") == (
        'Error from server (NotFound): pods "none" not found\n'
    )


def test_a_pod_is_copied_with_one_more_container(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a", {"app": "a"}))
    kubectl.let_pass(20)
    kubectl(f"debug a --image={IMAGE} --copy-to=b -c looker --profile=general -- sleep 600")
    kubectl.let_pass(20)
    copied = kubectl.json("get pod b")
    assert [each["name"] for each in copied["spec"]["containers"]] == ["main", "looker"]
    assert copied["spec"]["shareProcessNamespace"] is True
    assert "labels" not in copied["metadata"]
    assert kubectl("get pod b --no-headers").split()[1:3] == ["2/2", "Running"]
    kubectl("debug a --copy-to=c --set-image=*=busybox:1.37 --profile=general")
    assert kubectl.json("get pod c")["spec"]["containers"][0]["image"] == "busybox:1.37"


def test_a_node_is_looked_into_from_a_pod_on_it(kubectl: Kubectl) -> None:
    done = kubectl.meanwhile(
        f"debug node/worker-2 -i -q --image={IMAGE} --profile=general", "hostname; exit\n"
    )
    assert (done.code, done.out) == (0, "worker-2\n")
    (made,) = kubectl.json("get pods")["items"]
    assert made["metadata"]["name"].startswith("node-debugger-worker-2-")
    assert made["spec"]["nodeName"] == "worker-2"
    assert made["spec"]["hostPID"] is True
    assert made["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == "/host"
