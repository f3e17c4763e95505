"""Whatever an agent sends, it gets text to read."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools_driver import cluster_with_two_nodes

from pytest_selfrep.tools.kubectl.verbs import table

WORDS = [
    "pods",
    "deploy",
    "web",
    "deploy/web",
    "nodes",
    "node-1",
    "-n",
    "shop",
    "-l",
    "app=web",
    "--all",
    "-A",
    "-o",
    "yaml",
    "json",
    "name",
    "jsonpath={.items[*]}",
    "--replicas=2",
    "--replicas",
    "-1",
    "cm",
    "a=b",
    "a-",
    "web=r/w:2",
    "--image=x",
    "--",
    "sleep",
    "-p",
    "{}",
    "[]",
    "--type=json",
    "-f",
    "-",
    "--dry-run=client",
    "--force",
    "--port=80",
    "--for=delete",
    "--timeout=1s",
    "svc",
    "k=v:NoSchedule",
    "x:",
    "--tail=2",
    "all",
    "--verb=get",
    "--resource=pods",
    "--from-literal=x=y",
    "=",
    "''",
    "/",
    "a/b/c",
    "--sort-by=.x",
    "--list",
    "--max=3",
    '--overrides={"spec":1}',
    "--schedule=x",
    "--tcp=x",
    "-c",
    "--selector=x",
    "--revision=1",
    "--limits=cpu=1",
    "po,deploy",
    "-o",
    "custom-columns=A:.x",
    "--help",
    "ns",
    "%",
    "..",
    "--grace-period=0",
]
COMMANDS = st.builds(
    lambda verb, words: " ".join([verb, *words]),
    st.sampled_from(sorted(table())),
    st.lists(st.sampled_from(WORDS), max_size=6),
) | st.text(max_size=60)
KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "namespace", "items", "spec", "labels", "data"]
)
VALUES = st.recursive(
    st.none()
    | st.integers(0, 9)
    | st.sampled_from(["v1", "ConfigMap", "Pod", "List", "apps/v1", "Deployment", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
MANIFESTS = st.text(max_size=60) | VALUES.map(repr)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(COMMANDS, MANIFESTS), max_size=5))
def test_any_commands_give_text(calls: list[tuple[str, str]]) -> None:
    kubectl = cluster_with_two_nodes()
    kubectl("create deployment web --image=r/w:1")
    for command, stdin in calls:
        assert isinstance(kubectl(command, stdin), str)
