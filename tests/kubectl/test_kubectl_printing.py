"""kubectl get: every way of choosing objects and of printing them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from kubectl_driver import Kubectl, Site
from kubectl_objects import budget, config_map, cron_job, deployment, job, pod, service, workload


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A namespace with something of every kind, half a minute old."""
    namespace = site.new_namespace()
    site.make(
        namespace,
        deployment("web", 2),
        workload("StatefulSet", "db", 1),
        workload("DaemonSet", "agent"),
        job("count"),
        cron_job("nightly"),
        service("web"),
        budget("web", 1),
        config_map("settings", {"app": "web"}, mode="fast", size="3"),
        config_map("other", mode="slow"),
        pod("a", {"app": "single", "tier": "front"}),
    )
    site.cluster.advance(30)
    return site.terminal(tmp_path_factory.mktemp("home"), namespace)


def test_tables_have_the_columns_of_their_kinds(world: Kubectl) -> None:
    assert re.fullmatch(
        r"NAME   READY   STATUS    RESTARTS   AGE\na      1/1     Running   0          \d+s\n",
        world("get pod a"),
    )
    printed = world("get all")
    heads = [
        line.split()[0].split("/")[0] for line in printed.splitlines() if line and not line.startswith("NAME")
    ]
    assert list(dict.fromkeys(heads)) == [
        "pod",
        "service",
        "daemonset.apps",
        "deployment.apps",
        "replicaset.apps",
        "statefulset.apps",
        "cronjob.batch",
        "job.batch",
    ]
    assert re.search(r"deployment\.apps/web +2/2 +2 +2 +\d+s\n", printed)
    assert re.search(r"statefulset\.apps/db +1/1 +\d+s\n", printed)
    assert re.search(r"job\.batch/count +Complete +1/1 +\d+s +\d+s\n", printed)


def test_wide_tables_show_more(world: Kubectl) -> None:
    heading, row = world("get pod a -o wide").splitlines()
    assert heading.split("  ")[-1].strip() == "READINESS GATES"
    assert re.fullmatch(r"a +1/1 +Running +0 +\d+s +10\.244\.\d\.\d+ +worker-\d +<none> +<none>", row)
    assert world("get deploy web -o wide").splitlines()[1].split()[-3:] == [
        "main",
        "busybox:1.36.1",
        "app=web",
    ]
    assert "containerd://" in world("get nodes -o wide")


def test_several_kinds_and_names_come_in_one_answer(world: Kubectl) -> None:
    assert world("get deploy/web svc/web -o name") == "deployment.apps/web\nservice/web\n"
    assert world("get cm settings other -o name") == "configmap/settings\nconfigmap/other\n"
    tables = world("get sts,ds").split("\n\n")
    assert [table.split()[0] for table in tables] == ["NAME", "NAME"]
    missing = world.run("get cm settings gone -o name")
    assert (missing.code, missing.out) == (1, "configmap/settings\n")
    assert missing.err == 'Error from server (NotFound): configmaps "gone" not found\n'


def test_objects_are_printed_as_yaml_and_json(world: Kubectl) -> None:
    found = world.json("get cm settings")
    assert found == yaml.safe_load(world("get cm settings -o yaml"))
    assert found["data"] == {"mode": "fast", "size": "3"}
    assert world("get cm settings -o yaml").startswith("apiVersion: v1\ndata:\n  mode: fast\n")
    listed = world.json("get cm -l app=web")
    assert (listed["kind"], len(listed["items"])) == ("List", 1)
    assert "managedFields" not in world("get cm settings -o yaml")


def test_templates_pick_out_fields(world: Kubectl) -> None:
    assert world("get pod a -o jsonpath='{.status.phase} {.spec.containers[*].name}'") == "Running main"
    assert world("get cm -l app=web -o jsonpath='{range .items[*]}{.metadata.name}{end}'") == "settings"
    assert world("get cm settings -o go-template='{{.data.mode}}'") == "fast"
    world.write("path", "{.data.size}")
    assert world("get cm settings -o jsonpath-file=path") == "3"
    world.write("columns", "NAME           MODE\n.metadata.name .data.mode\n")
    expected = "NAME       MODE\nsettings   fast\n"
    assert world("get cm settings -o custom-columns-file=columns") == expected
    assert world("get cm settings -o custom-columns=NAME:.metadata.name,MODE:.data.mode") == expected
    assert world("get cm settings -o custom-columns=X:.data.none --no-headers") == "<none>\n"


def test_labels_and_fields_select(world: Kubectl) -> None:
    def names(options: str) -> list[str]:
        return world(f"get pods -o name {options}").split()

    assert names("-l tier=front") == ["pod/a"]
    assert names("-l 'app in (single,none),tier'") == ["pod/a"]
    assert names("-l 'app notin (web,db,agent),!tier'")[0].startswith("pod/count-")
    assert names("--field-selector metadata.name=a,status.phase=Running") == ["pod/a"]
    assert [name[:10] for name in names("--field-selector status.phase!=Running")] == ["pod/count-"]
    assert world.fails("get pods --field-selector spec.image=x") == (
        'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", '
        'field selector "spec.image=x": field label not supported: spec.image\n'
    )
    assert world.fails("get pods -l 'a in'").endswith("unable to parse requirement: found '' expected: '('\n")


def test_tables_are_sorted_and_extended(world: Kubectl) -> None:
    assert world("get cm --sort-by=.metadata.name -o name").split() == [
        "configmap/kube-root-ca.crt",
        "configmap/other",
        "configmap/settings",
    ]
    by_mode = world("get cm --sort-by=.data.mode --no-headers").splitlines()
    assert [line.split()[0] for line in by_mode] == ["kube-root-ca.crt", "settings", "other"]
    assert world("get pod a --show-labels").splitlines()[1].endswith("   app=single,tier=front")
    assert world("get pod a -L tier,none").splitlines()[0].endswith("AGE   TIER    NONE")
    assert len(world("get pod a --no-headers").splitlines()) == 1


def test_all_namespaces_are_listed_in_pieces_as_in_one(world: Kubectl) -> None:
    heading, *rows = world("get sa -A").splitlines()
    assert heading.split() == ["NAMESPACE", "NAME", "SECRETS", "AGE"]
    whole = world("get sa -A -o name")
    assert world("get sa -A -o name --chunk-size=2") == whole
    assert len(rows) == len(whole.splitlines())


def test_what_is_not_there_is_said(world: Kubectl) -> None:
    assert world.fails("get pod gone") == 'Error from server (NotFound): pods "gone" not found\n'
    assert world("get pod gone --ignore-not-found") == ""
    assert world.run("get ds -n default").err == "No resources found in default namespace.\n"
    assert world.run("get pods -n nowhere").err == "No resources found in nowhere namespace.\n"
    assert world.fails("get teapots") == 'error: the server doesn\'t have a resource type "teapots"\n'


def test_subresources_are_read(world: Kubectl) -> None:
    heading, row = world("get deploy web --subresource=scale").splitlines()
    assert heading.split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert row.split()[:3] == ["web", "2", "2"]
    assert world("get deploy web --subresource=status -o jsonpath={.status.readyReplicas}") == "2"
    assert world.fails("get deploy web --subresource=nothing") == (
        "Error from server (NotFound): the server could not find the requested resource\n"
    )


def test_raw_paths_are_read(world: Kubectl) -> None:
    assert world("get --raw /healthz") == "ok"
    assert '"kind":"ConfigMap"' in world(
        f"get --raw /api/v1/namespaces/{world.namespace}/configmaps/settings"
    )
    assert world.fails("get --raw /nothing") == (
        "Error from server (NotFound): the server could not find the requested resource\n"
    )


def test_objects_of_a_file_are_read_back(world: Kubectl, tmp_path: Path) -> None:
    manifest = tmp_path / "cm.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n", encoding="utf-8")
    assert world(f"get -f {manifest} -o name") == "configmap/settings\n"


def test_a_servers_table_can_be_refused(world: Kubectl) -> None:
    assert world("get pod a --server-print=false").splitlines()[0].split() == ["NAME", "AGE"]


def test_managed_fields_are_shown_on_request(kubectl: Kubectl) -> None:
    kubectl("apply -f - --server-side", config_map("a"))
    assert "managedFields" not in kubectl("get cm a -o yaml")
    (entry,) = kubectl.json("get cm a --show-managed-fields")["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl", "Apply")
