"""What holds of a Deployment whatever is done to it, and in whatever order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from kube_driver import Kube
from workloads import CORE, DEPLOYMENTS, deploy, images, is_ready, live_pods, names, scale, set_image

from pytest_selfrep.kubesim.cluster import Cluster

WEB = f"{DEPLOYMENTS}/web"
LONG = 600

scaling = st.tuples(st.just("scale"), st.integers(min_value=0, max_value=8))
updating = st.tuples(st.just("image"), st.integers(min_value=1, max_value=3))
deleting = st.tuples(st.just("delete pod"), st.integers(min_value=0, max_value=7))
pausing = st.tuples(st.just("pause"), st.integers(min_value=0, max_value=1))
waiting = st.tuples(st.just("wait"), st.integers(min_value=0, max_value=20))
Step = tuple[str, int]
steps = st.lists(st.one_of(scaling, updating, deleting, pausing, waiting), max_size=12)
limits = st.sampled_from([(1, 0), (0, 1), ("25%", "25%"), (2, 1), ("50%", 0)])


def cluster_with_nodes() -> Kube:
    cluster = Cluster()
    kube = Kube(cluster, cluster.token_for())
    for number in (1, 2, 3):
        kube.add_node(f"worker-{number}", number=number)
    return kube


def take(kube: Kube, step: Step) -> None:
    what, number = step
    if what == "scale":
        scale(kube, number)
    elif what == "image":
        set_image(kube, f"registry.acme.io/web:{number}")
    elif what == "pause":
        kube.merge(WEB, {"spec": {"paused": bool(number)}})
    elif what == "wait":
        kube.advance(number)
    else:
        found = names(live_pods(kube))
        if found:
            kube.delete(f"{CORE}/pods/{found[number % len(found)]}")


def most(kube: Kube) -> int:
    """The pods that a Deployment may have: its replicas and the surge, which is rounded up."""
    spec = kube.get(WEB)["spec"]
    surge = spec["strategy"]["rollingUpdate"]["maxSurge"]
    if isinstance(surge, str):
        surge = -(-int(surge.rstrip("%")) * spec["replicas"] // 100)
    return int(spec["replicas"] + surge)


@settings(max_examples=60, deadline=None)
@given(steps, limits)
def test_it_never_has_too_many_pods_and_always_arrives(
    todo: list[Step], limit: tuple[int | str, int | str]
) -> None:
    kube = cluster_with_nodes()
    rolling = {"maxSurge": limit[0], "maxUnavailable": limit[1]}
    deploy(kube, replicas=3, strategy={"rollingUpdate": rolling})
    for step in todo:
        take(kube, step)
        assert len(live_pods(kube)) <= most(kube)
    kube.merge(WEB, {"spec": {"paused": False}})
    kube.advance(LONG)
    wanted = kube.get(WEB)["spec"]
    pods = live_pods(kube)
    assert len(pods) == wanted["replicas"]
    assert all(map(is_ready, pods))
    assert set(images(pods)) <= {wanted["template"]["spec"]["containers"][0]["image"]}
    status = kube.get(WEB)["status"]
    assert status.get("availableReplicas", 0) == status.get("updatedReplicas", 0) == wanted["replicas"]


@settings(max_examples=20, deadline=None)
@given(steps)
def test_the_same_steps_lead_to_the_same_cluster(todo: list[Step]) -> None:
    outcomes = []
    for _ in range(2):
        kube = cluster_with_nodes()
        deploy(kube)
        for step in todo:
            take(kube, step)
        kube.advance(LONG)
        outcomes.append(kube.get(f"{CORE}/pods"))
    assert outcomes[0] == outcomes[1]
