"""kubectl rollout: status, history, undo, restart, pause and resume."""

from __future__ import annotations

import re

from kubectl_driver import Kubectl
from kubectl_objects import deployment, pod, workload


def test_a_rollout_is_followed_to_its_end(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web", 3))
    done = kubectl.meanwhile("rollout status deploy/web", seconds=0.5)
    assert done.code == 0
    lines = done.out.splitlines()
    assert (
        lines[0] == 'Waiting for deployment "web" rollout to finish: 0 of 3 updated replicas are available...'
    )
    assert lines[-1] == 'deployment "web" successfully rolled out'
    kubectl("set image deploy/web main=busybox:1.37")
    done = kubectl.meanwhile("rollout status deploy/web", seconds=0.5)
    lines = done.out.splitlines()
    assert lines[0] == (
        'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...'
    )
    assert (
        'Waiting for deployment "web" rollout to finish: 1 old replicas are pending termination...' in lines
    )
    assert lines[-1] == 'deployment "web" successfully rolled out'
    assert kubectl("rollout status deploy") == 'deployment "web" successfully rolled out\n'


def test_a_rollout_that_fails_is_reported(kubectl: Kubectl) -> None:
    stuck = deployment("web", progressDeadlineSeconds=20)
    stuck["spec"]["template"]["spec"]["containers"][0]["image"] = "none.invalid/x:1"
    kubectl.site.make(kubectl.namespace, stuck)
    done = kubectl.meanwhile("rollout status deploy/web")
    assert done.code == 1
    assert done.err == 'error: deployment "web" exceeded its progress deadline\n'
    assert kubectl.run("rollout status deploy/web --watch=false").code == 1


def test_stateful_sets_and_daemon_sets_roll_out(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, workload("StatefulSet", "db", 2), workload("DaemonSet", "agent"))
    done = kubectl.meanwhile("rollout status sts/db")
    assert done.out.splitlines()[0] == "Waiting for 2 pods to be ready..."
    assert done.out.splitlines()[-1] == "partitioned roll out complete: 2 new pods have been updated..."
    done = kubectl.meanwhile("rollout status ds/agent")
    assert done.out.splitlines()[-1] == 'daemon set "agent" successfully rolled out'
    assert kubectl("rollout restart sts/db") == "statefulset.apps/db restarted\n"
    done = kubectl.meanwhile("rollout status sts/db")
    assert "Waiting for 1 pods to be ready...\n" in done.out
    kubectl("rollout restart ds/agent")
    done = kubectl.meanwhile("rollout status ds/agent")
    assert re.match(
        r'Waiting for daemon set "agent" rollout to finish: \d out of 3 new pods have been updated',
        done.out,
    )
    assert kubectl("rollout history ds/agent").splitlines()[:2] == [
        "daemonset.apps/agent ",
        "REVISION  CHANGE-CAUSE",
    ]
    assert kubectl("rollout undo ds/agent") == "daemonset.apps/agent rolled back\n"
    assert kubectl("rollout undo sts/db --to-revision=1") == "statefulset.apps/db rolled back\n"
    generation = (
        "get ds agent -o jsonpath='{.metadata.annotations.deprecated\\.daemonset\\.template\\.generation}'"
    )
    assert kubectl(generation) == "3"


def test_history_is_kept_and_gone_back_in(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"))
    kubectl("annotate deploy web kubernetes.io/change-cause=first")
    kubectl("set image deploy/web main=busybox:1.37")
    kubectl("annotate deploy web kubernetes.io/change-cause=second --overwrite")
    kubectl.let_pass(30)
    assert kubectl("rollout history deploy/web") == (
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         first\n2         second\n\n"
    )
    page = kubectl("rollout history deploy/web --revision=1")
    assert page.startswith(
        "deployment.apps/web with revision #1\nPod Template:\n  Labels:\tapp=web\n\tpod-template-hash="
    )
    assert "    Image:\tbusybox:1.36.1\n" in page
    assert kubectl("rollout undo deploy/web --dry-run=client").startswith(
        "deployment.apps/web Pod Template:\n"
    )
    assert kubectl("rollout undo deploy/web") == "deployment.apps/web rolled back\n"
    image = "get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'"
    assert kubectl(image) == "busybox:1.36.1"
    assert [line.split()[0] for line in kubectl("rollout history deploy/web").splitlines()[2:-1]] == [
        "2",
        "3",
    ]
    assert kubectl("rollout undo deploy/web --to-revision=2") == "deployment.apps/web rolled back\n"
    assert kubectl(image) == "busybox:1.37"
    assert kubectl("rollout undo deploy/web --to-revision=4") == (
        "deployment.apps/web skipped rollback (current template already matches revision 4)\n"
    )
    assert kubectl.fails("rollout undo deploy/web --to-revision=9") == (
        "error: unable to find specified revision 9 in history\n"
    )
    assert kubectl.fails("rollout history deploy/web --revision=9") == (
        "error: unable to find the specified revision\n"
    )


def test_pausing_and_resuming(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), workload("StatefulSet", "db", 1))
    kubectl.let_pass(20)
    assert kubectl("rollout pause deploy/web") == "deployment.apps/web paused\n"
    assert kubectl.fails("rollout pause deploy/web") == ('error: deployments.apps "web" is already paused\n')
    kubectl("set image deploy/web main=busybox:1.37")
    kubectl.let_pass(20)
    assert len(kubectl("get rs -o name").split()) == 1
    assert kubectl("rollout status deploy/web --watch=false") == (
        'Waiting for deployment "web" rollout to finish: 0 out of 1 new replicas have been updated...\n'
    )
    assert kubectl.fails("rollout restart deploy/web") == (
        'error: deployments.apps "web" can\'t restart paused deployment (run rollout resume first)\n'
    )
    assert kubectl("rollout resume deploy/web") == "deployment.apps/web resumed\n"
    assert kubectl.fails("rollout resume deploy/web") == 'error: deployments.apps "web" is not paused\n'
    kubectl.let_pass(20)
    assert len(kubectl("get rs -o name").split()) == 2
    assert kubectl.fails("rollout pause sts/db") == 'error: statefulsets.apps "db" pausing is not supported\n'


def test_restarting(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), pod("a"))
    kubectl.let_pass(20)
    before = kubectl("get pods -l app=web -o name")
    assert kubectl("rollout restart deploy/web") == "deployment.apps/web restarted\n"
    kubectl.let_pass(60)
    assert kubectl("get pods -l app=web -o name") not in ("", before)
    assert "kubectl.kubernetes.io/restartedAt" in kubectl("get deploy web -o jsonpath={.spec.template}")
    assert kubectl.fails("rollout restart pod/a") == 'error: pods "a" restarting is not supported\n'
    assert kubectl.fails("rollout status pod/a") == "error: no status viewer has been implemented for Pod\n"
    assert kubectl.fails("rollout restart deploy/gone") == (
        'Error from server (NotFound): deployments.apps "gone" not found\n'
    )
