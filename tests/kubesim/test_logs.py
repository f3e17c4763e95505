"""What containers print, and which parts of it a client may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube

HELLO = ["sh", "-c", "echo hello; echo goodbye; sleep infinity"]


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """A cluster with one node."""
    kube.add_node("worker-1")
    return kube


def log(kube: Kube, name: str = "a", **query: str) -> Any:
    return kube.get(f"{PODS}/{name}/log", **query)


def lines(kube: Kube, name: str = "a", **query: str) -> list[str]:
    text = log(kube, name, **query)
    assert text == "" or text.endswith("\n")
    return list(text.splitlines())


def test_a_log_is_plain_text(kube: Kube) -> None:
    kube.add_pod("a", command=HELLO)
    kube.advance(5)
    response = kube.send("GET", f"{PODS}/a/log")
    assert response.content_type == "text/plain"
    assert response.body == "hello\ngoodbye\n"


def test_a_server_prints_more_as_time_passes(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(60)
    early = lines(kube)
    kube.advance(600)
    late = lines(kube)
    assert late[: len(early)] == early
    assert 30 < len(late) - len(early) < 120
    assert "listening" in early[2]


def test_a_server_says_where_its_image_listens(kube: Kube) -> None:
    kube.add_pod("a", image="nginx:1.27")
    kube.advance(60)
    assert lines(kube)[2].endswith("addr=0.0.0.0:80")


def test_pods_print_different_things(kube: Kube) -> None:
    kube.add_pod("a")
    kube.add_pod("b")
    kube.advance(600)
    assert lines(kube, "a") != lines(kube, "b")


def test_the_tail_is_the_end(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(600)
    assert lines(kube, tailLines="3") == lines(kube)[-3:]
    assert lines(kube, tailLines="0") == []


def test_since_leaves_out_what_is_older(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(600)
    recent = lines(kube, sinceSeconds="100")
    assert recent
    assert recent == lines(kube)[-len(recent) :]
    assert 7 <= len(recent) <= 17
    moment = kube.cluster.clock.timestamp(kube.cluster.clock.now - 100)
    assert lines(kube, sinceTime=moment) == recent


def test_timestamps_come_first_on_each_line(kube: Kube) -> None:
    kube.add_pod("a", command=HELLO)
    kube.advance(5)
    stamp, _, rest = lines(kube, timestamps="true")[0].partition(" ")
    assert rest == "hello"
    assert len(stamp) == len("2025-05-06T08:00:01.000000000Z")
    assert stamp <= kube.cluster.clock.timestamp()


def test_a_limit_cuts_after_so_many_bytes(kube: Kube) -> None:
    kube.add_pod("a", command=HELLO)
    kube.advance(5)
    assert log(kube, limitBytes="8") == "hello\ngo"


def test_a_followed_log_ends_at_its_limit(kube: Kube) -> None:
    kube.add_pod("a", command=["sh", "-c", "while :; do echo tick; sleep 1; done"])
    kube.advance(5)
    stream = kube.send("GET", f"{PODS}/a/log", query={"follow": "true", "limitBytes": "33"}).stream
    assert stream is not None
    said = "".join(stream.poll())
    while not stream.closed:
        kube.advance(1)
        said += "".join(stream.poll())
    assert said == ("tick\n" * 7)[:33]


def test_a_log_of_months_is_rotated(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(90 * 24 * 3600)
    assert len(lines(kube)) == 5000


def test_the_previous_run_of_a_container_is_kept(kube: Kube) -> None:
    kube.add_pod("a", command=["sh", "-c", "echo trying; sleep 5; exit 1"])
    kube.advance(6)
    refused = kube.refusal("GET", f"{PODS}/a/log", query={"previous": "true"})
    assert refused["code"] == 400
    assert refused["message"] == 'previous terminated container "web" in pod "a" not found'
    kube.advance(20)
    assert lines(kube, previous="true") == ["trying"]


def test_a_container_that_has_not_started_has_no_log(kube: Kube) -> None:
    kube.add_pod("a")
    refused = kube.refusal("GET", f"{PODS}/a/log")
    assert refused["code"] == 400
    assert refused["message"] == 'container "web" in pod "a" is waiting to start: ContainerCreating'


def test_a_container_without_an_image_has_no_log(kube: Kube) -> None:
    kube.add_pod("a", image="registry.invalid/a:1")
    kube.advance(8)
    assert kube.refusal("GET", f"{PODS}/a/log")["message"] == (
        'container "web" in pod "a" is waiting to start: trying and failing to pull image'
    )


def test_the_log_of_a_pod_without_a_node_has_no_content(kube: Kube) -> None:
    kube.add_pod("a", cpu="64")
    answer = kube.send("GET", f"{PODS}/a/log")
    assert (answer.status, answer.body) == (204, b"")


def test_a_container_must_be_named_when_there_are_several(kube: Kube) -> None:
    containers = [{"name": name, "image": "nginx:1.27", "command": ["echo", name]} for name in ("x", "y")]
    kube.create(PODS, {"metadata": {"name": "a"}, "spec": {"containers": containers}})
    kube.advance(10)
    assert kube.refusal("GET", f"{PODS}/a/log")["message"] == (
        "a container name must be specified for pod a, choose one of: [x y]"
    )
    assert kube.refusal("GET", f"{PODS}/a/log", query={"container": "z"})["message"] == (
        "container z is not valid for pod a"
    )
    assert lines(kube, container="y") == ["y"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"tailLines": "-1"}, 422),
        ({"tailLines": "many"}, 400),
        ({"sinceSeconds": "0"}, 422),
        ({"sinceTime": "yesterday"}, 400),
        ({"limitBytes": "0"}, 422),
    ],
)
def test_impossible_options_are_refused(kube: Kube, query: dict[str, str], code: int) -> None:
    kube.add_pod("a")
    kube.advance(5)
    assert kube.refusal("GET", f"{PODS}/a/log", query=query)["code"] == code


def test_an_impossible_option_is_named(kube: Kube) -> None:
    refusal = kube.refusal("GET", f"{PODS}/a/log", query={"tailLines": "-1"})
    why = "Invalid value: -1: must be greater than or equal to 0"
    assert refusal["message"] == f'PodLogOptions "a" is invalid: tailLines: {why}'
    assert refusal["details"]["causes"] == [
        {"reason": "FieldValueInvalid", "message": why, "field": "tailLines"}
    ]


def test_a_followed_log_goes_on_until_the_container_ends(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(60)
    stream = kube.send("GET", f"{PODS}/a/log", query={"follow": "true"}).stream
    assert stream is not None
    assert "".join(stream.poll()) == log(kube)
    woken: list[float] = []
    stream.on_ready(lambda: woken.append(kube.cluster.clock.now))
    kube.advance(60)
    assert len(woken) > 30
    assert "".join(stream.poll()).splitlines() == lines(kube)[-len(lines(kube, sinceSeconds="60")) :]
    kube.delete(f"{PODS}/a")
    kube.advance(10)
    stream.poll()
    assert stream.closed


def test_nothing_is_left_of_a_followed_log_whose_client_has_gone(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(60)
    stream = kube.send("GET", f"{PODS}/a/log", query={"follow": "true"}).stream
    assert stream is not None
    stream.on_ready(lambda: None)
    stream.close()
    assert kube.cluster.clock.next_due() is None
