"""kubectl patch, scale, set, label, annotate, expose, autoscale, run."""

from __future__ import annotations

import json

from kubectl_driver import Kubectl
from kubectl_objects import config_map, deployment, pod, service, workload


def test_patches_of_three_types(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), config_map("settings", mode="fast"))
    second = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox:1.36.1"}]}}}}
    assert kubectl(f"patch deploy web -p '{json.dumps(second)}'") == "deployment.apps/web patched\n"
    names = "get deploy web -o jsonpath='{.spec.template.spec.containers[*].name}'"
    assert sorted(kubectl(names).split()) == ["main", "side"]
    assert (
        kubectl(f"patch deploy web -p '{json.dumps(second)}'") == "deployment.apps/web patched (no change)\n"
    )
    kubectl('patch cm settings --type=merge -p \'{"data": {"mode": null, "size": "3"}}\'')
    assert kubectl.json("get cm settings")["data"] == {"size": "3"}
    operations = [{"op": "replace", "path": "/data/size", "value": "4"}]
    kubectl(f"patch cm settings --type=json -p '{json.dumps(operations)}'")
    assert kubectl.json("get cm settings")["data"] == {"size": "4"}
    kubectl.write("patch.yaml", "data:\n  size: '5'\n")
    assert kubectl("patch cm settings --patch-file=patch.yaml -o jsonpath={.data.size}") == "5"
    assert kubectl("patch cm settings --dry-run=server --patch-file=patch.yaml") == (
        "configmap/settings patched (no change)\n"
    )
    replicas = json.dumps({"spec": {"replicas": 2}})
    assert kubectl(f"patch deploy web --subresource=scale --type=merge -p '{replicas}'") == (
        "scale.autoscaling/web patched\n"
    )


def test_patches_that_fail(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), pod("a"))
    remove = json.dumps([{"op": "remove", "path": "/spec/none"}])
    assert kubectl.fails(f"patch deploy web --type=json -p '{remove}'") == (
        "The request is invalid: the server rejected our request due to an error in our request\n"
    )
    assert kubectl.fails("patch deploy gone -p '{}'") == (
        'Error from server (NotFound): deployments.apps "gone" not found\n'
    )
    moved = json.dumps({"spec": {"nodeName": "elsewhere"}})
    assert kubectl.fails(f"patch pod a -p '{moved}'").startswith(
        'The Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than '
    )
    assert 'The Deployment "web" is invalid: spec.replicas: Invalid value: -1' in kubectl.fails(
        'patch deploy web -p \'{"spec": {"replicas": -1}}\''
    )


def test_scaling(kubectl: Kubectl) -> None:
    name = kubectl.namespace
    kubectl.site.make(name, deployment("web"), deployment("api"), workload("StatefulSet", "db", 1), pod("a"))
    assert kubectl("scale deploy web api --replicas=2") == (
        "deployment.apps/web scaled\ndeployment.apps/api scaled\n"
    )
    assert kubectl("scale sts/db --replicas=3 --current-replicas=1") == "statefulset.apps/db scaled\n"
    assert kubectl.fails("scale sts/db --replicas=5 --current-replicas=1") == (
        "error: Expected replicas to be 1, was 3\n"
    )
    assert kubectl("scale deploy --all --replicas=0").count("scaled") == 2
    assert kubectl("get deploy -o jsonpath='{.items[*].spec.replicas}'") == "0 0"
    assert kubectl.fails("scale pod a --replicas=2") == (
        "Error from server (NotFound): the server could not find the requested resource\n"
    )
    done = kubectl.meanwhile("scale deploy web --replicas=1 --timeout=2m")
    assert done.out == "deployment.apps/web scaled\n"


def test_images_variables_and_resources_are_set(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), config_map("settings", mode="fast"))
    assert kubectl("set image deploy/web main=busybox:1.37") == "deployment.apps/web image updated\n"
    assert kubectl("set image deploy/web '*=busybox:1.38' -o name") == "deployment.apps/web\n"
    assert kubectl.fails("set image deploy/web other=x") == 'error: unable to find container named "other"\n'
    assert kubectl("set env deploy/web SIZE=3 MODE=slow") == "deployment.apps/web env updated\n"
    kubectl("set env deploy/web --from=configmap/settings --prefix=CM_")
    assert kubectl("set env deploy/web MODE-") == "deployment.apps/web env updated\n"
    listed = kubectl("set env deploy/web --list")
    assert listed == (
        "# Deployment web, container main\nSIZE=3\n# CM_MODE from configmap settings, key mode\n"
    )
    assert kubectl("set resources deploy/web --limits=cpu=200m,memory=64Mi --requests=cpu=100m") == (
        "deployment.apps/web resource requirements updated\n"
    )
    container = kubectl.json("get deploy web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "busybox:1.38"
    assert container["resources"] == {
        "limits": {"cpu": "200m", "memory": "64Mi"},
        "requests": {"cpu": "100m"},
    }


def test_accounts_selectors_and_subjects_are_set(kubectl: Kubectl) -> None:
    kubectl.site.make(
        kubectl.namespace,
        deployment("web"),
        service("web"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        },
    )
    assert kubectl("set serviceaccount deploy web robot") == "deployment.apps/web serviceaccount updated\n"
    assert kubectl("set selector svc web tier=front") == "service/web selector updated\n"
    assert kubectl.json("get svc web")["spec"]["selector"] == {"tier": "front"}
    assert kubectl(
        f"set subject rolebinding reader --user=ann --serviceaccount={kubectl.namespace}:robot"
    ) == ("rolebinding.rbac.authorization.k8s.io/reader subjects updated\n")
    assert [each["name"] for each in kubectl.json("get rolebinding reader")["subjects"]] == ["ann", "robot"]


def test_labels_and_annotations(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, config_map("a"), config_map("b"))
    assert kubectl("label cm a tier=front") == "configmap/a labeled\n"
    assert kubectl("label cm a tier=front") == "configmap/a not labeled\n"
    assert kubectl.fails("label cm a tier=back") == (
        "error: 'tier' already has a value (front), and --overwrite is false\n"
    )
    assert kubectl("label cm a tier=back --overwrite") == "configmap/a labeled\n"
    assert kubectl("label cm a --list") == "tier=back\n"
    assert kubectl("label cm a tier-") == "configmap/a unlabeled\n"
    assert kubectl("label cm a tier-") == 'label "tier" not found.\nconfigmap/a labeled\n'
    assert kubectl.fails("label cm a 'tier=not good'").startswith(
        'error: invalid label value: "tier=not good": a valid label must be an empty string'
    )
    assert kubectl("annotate cm a b note=hello") == "configmap/a annotated\nconfigmap/b annotated\n"
    assert kubectl("annotate cm a --list") == "note=hello\n"
    assert kubectl.fails("annotate cm a note=bye") == (
        "error: --overwrite is false but found the following declared annotation(s): "
        "'note' already has a value (hello)\n"
    )
    assert kubectl("annotate cm a note-") == "configmap/a annotated\n"
    assert kubectl("annotate cm --all size=3 --dry-run=server").count("annotated (server dry run)") == 3
    assert "size" not in kubectl("get cm a -o yaml")


def test_exposing(kubectl: Kubectl) -> None:
    made = deployment("web", 2)
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    kubectl.site.make(kubectl.namespace, made, pod("a", {"app": "a"}))
    assert kubectl("expose deploy web") == "service/web exposed\n"
    spec = kubectl.json("get svc web")["spec"]
    assert (spec["selector"], spec["ports"][0]["port"]) == ({"app": "web"}, 8080)
    assert kubectl("expose pod a --port=80 --target-port=http --type=NodePort --name=outside") == (
        "service/outside exposed\n"
    )
    assert kubectl("expose svc outside --port=443 --name=tls --dry-run=client -o name") == "service/tls\n"
    assert kubectl.fails("expose pod a") == ("error: couldn't find port via --port flag or introspection\n")
    assert kubectl.fails("expose deploy web") == (
        'Error from server (AlreadyExists): services "web" already exists\n'
    )


def test_autoscaling(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"))
    assert kubectl("autoscale deploy web --min=2 --max=5 --cpu-percent=70") == (
        "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    )
    assert kubectl("get hpa web").splitlines()[1].split()[:6] == [
        "web",
        "Deployment/web",
        "cpu:",
        "<unknown>/70%",
        "2",
        "5",
    ]
    assert kubectl.fails("autoscale deploy web --max=5") == (
        'Error from server (AlreadyExists): horizontalpodautoscalers.autoscaling "web" already exists\n'
    )
    assert kubectl.fails("autoscale deploy gone --max=5") == (
        'Error from server (NotFound): deployments.apps "gone" not found\n'
    )


def test_running(kubectl: Kubectl) -> None:
    assert kubectl("run a --image=busybox:1.36.1 --labels=tier=front --env=MODE=fast --port=80") == (
        "pod/a created\n"
    )
    made = kubectl.json("get pod a")
    assert made["metadata"]["labels"] == {"tier": "front"}
    assert made["spec"]["restartPolicy"] == "Always"
    assert made["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "fast"}]
    kubectl("run b --image=busybox:1.36.1 --restart=Never --command -- sh -c 'echo hello'")
    kubectl.let_pass(20)
    assert kubectl("logs b") == "hello\n"
    assert kubectl("get pod b --no-headers").split()[2] == "Completed"
    overrides = json.dumps({"spec": {"nodeName": "worker-2"}})
    assert "nodeName: worker-2" in kubectl(
        f"run c --image=x --dry-run=client -o yaml --overrides='{overrides}'"
    )
    assert kubectl.fails("run a --image=x") == 'Error from server (AlreadyExists): pods "a" already exists\n'
    assert kubectl("run d --image=x --expose --port=80") == "service/d created\npod/d created\n"
