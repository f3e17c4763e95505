"""Watching a server: each change once and in order, whatever becomes of connections, or a clear error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from informer_bench import HOME, PACE, PATH, Bench, in_order, summed, told
from unruly import DROPPED, UNANSWERED, Fault, answer, cut, eventually, stalled, stream

from pytest_selfrep.clusters import informer as informers
from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.informer import Informer, Pace
from pytest_selfrep.errors import ClusterError, FloodError
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import serve

EXPIRED = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
GONE = orjson.dumps(EXPIRED)
ERROR_410 = stream(orjson.dumps({"type": "ERROR", "object": EXPIRED}) + b"\n")
FAULTS = {
    "dropped": DROPPED,
    "unanswered": UNANSWERED,
    "cut in the head": cut(40),
    "cut in a line": cut(700),
    "cut in another": cut(1500),
    "429": answer("429 Too Many Requests", b"busy", "Retry-After: 0"),
    "500": answer("500 Internal Server Error", b"broken"),
    "503 of a proxy": answer("503 Service Unavailable", b"<html>down</html>"),
    "half a line": stream(b'{"type": "ADDED", "obj'),
    "nonsense": stream(b'"hello"\n'),
    "an end at once": stream(),
    "an error within": stream(b'{"type": "ERROR", "object": {"kind": "Status", "code": 500}}\n'),
    "silence": stalled(0.2),
}
FORGETTING = {"410": answer("410 Gone", GONE), "410 within": ERROR_410}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    threads = threading.active_count()
    bench = Bench(tmp_path)
    yield bench
    bench.close()
    assert threading.active_count() == threads


def some_life(bench: Bench) -> None:
    bench.make("a")
    bench.change("a")
    bench.make("b")
    bench.remove("a")
    bench.make("a")


def test_what_was_there_comes_first_and_then_each_change_once(bench: Bench) -> None:
    bench.make("z")
    with bench.informer() as informer:
        before = informer.poll()
        assert {each.type for each in before} == {"ADDED"}
        assert summed(before) == bench.state()
        since = bench.revision
        some_life(bench)
        assert told(informer.poll()) == bench.history(since)
        assert informer.poll() == []
        assert informer.gaps == ()


def test_a_poll_sees_all_that_had_happened_when_it_was_called(bench: Bench) -> None:
    with bench.informer() as informer:
        informer.poll()
        for number in range(30):
            bench.make(f"c{number}")
            assert [each.object["metadata"]["name"] for each in informer.poll()] == [f"c{number}"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disturbance_costs_no_event(bench: Bench, fault: str) -> None:
    with bench.informer() as informer:
        informer.poll()
        since = bench.revision
        bench.proxy.meet(FAULTS[fault], FAULTS[fault], where="watch=true")
        bench.make("first")
        bench.proxy.cut_all()
        some_life(bench)
        assert told(informer.poll()) == bench.history(since)
        assert informer.gaps == ()


@pytest.mark.parametrize("fault", FORGETTING)
def test_what_the_server_has_forgotten_is_worked_out_and_told(bench: Bench, fault: str) -> None:
    bench.make("old")
    bench.make("kept")
    with bench.informer() as informer:
        events = list(informer.poll())
        since = bench.revision
        bench.proxy.meet(DROPPED, DROPPED, FORGETTING[fault], where="watch=true")
        bench.proxy.cut_all()
        bench.remove("old")
        bench.make("old")
        bench.change("kept")
        bench.make("new")
        bench.make("brief")
        bench.remove("brief")
        found = informer.poll()
        types = [(each.type, each.object["metadata"]["name"]) for each in found]
        assert types == [("DELETED", "old"), ("ADDED", "old"), ("MODIFIED", "kept"), ("ADDED", "new")]
        assert summed([*events, *found]) == bench.state()
        assert in_order([*events, *found])
        (gap,) = informer.gaps
        assert gap.since <= since < gap.until == bench.revision
        assert 0.0 <= gap.seconds < PACE.give_up


def test_after_a_gap_each_change_comes_once_again(bench: Bench) -> None:
    with bench.informer() as informer:
        bench.proxy.meet(ERROR_410, where="watch=true")
        bench.proxy.cut_all()
        eventually(lambda: informer.gaps)
        informer.poll()
        since = bench.revision
        some_life(bench)
        assert told(informer.poll()) == bench.history(since)


def test_a_watch_that_holds_back_is_replaced(bench: Bench) -> None:
    """The server's answer begins, and nothing more of it comes."""
    with bench.informer() as informer:
        informer.poll()
        since = bench.revision
        bench.proxy.meet(stalled(60.0, 250), where="watch=true")
        bench.proxy.cut_all()
        some_life(bench)
        began = time.monotonic()
        assert told(informer.poll()) == bench.history(since)
        assert time.monotonic() - began < PACE.give_up


def test_watches_that_end_in_time_follow_each_other(bench: Bench) -> None:
    def watches() -> int:
        return len([each for each in bench.proxy.seen if "watch=true" in each])

    pace = Pace(watch=1.0, slack=1.0, give_up=2.0)
    with bench.informer(pace) as informer:
        informer.poll()
        since, events, number = bench.revision, list[Observed](), 0
        while watches() < 4:
            number += 1
            bench.make(f"c{number}")
            events += informer.poll()
        assert told(events) == bench.history(since)
        assert informer.gaps == ()
        # Calm for longer than it has patience with silence.
        then = watches()
        eventually(lambda: watches() == then + 3)
        assert informer.poll() == []


def test_long_calm_is_no_trouble(bench: Bench) -> None:
    pace = Pace(watch=30.0, lag=0.1, give_up=0.4, first_pause=0.01)
    with bench.informer(pace) as informer:
        informer.poll()
        time.sleep(2 * pace.give_up)
        bench.proxy.meet(DROPPED, where="watch=true")
        bench.proxy.cut_all()
        bench.make("a")
        assert [each.object["metadata"]["name"] for each in informer.poll()] == ["a"]


def test_what_has_been_closed_cannot_be_polled(bench: Bench) -> None:
    with bench.informer() as informer:
        informer.poll()
    bench.make("a")
    with pytest.raises(ClusterError, match="has been closed"):
        informer.poll()


def test_a_server_that_is_busy_is_left_alone_for_as_long_as_it_says(bench: Bench) -> None:
    def watches() -> int:
        return len([each for each in bench.proxy.seen if "watch=true" in each])

    with bench.informer() as informer:
        eventually(lambda: watches() == 1)
        bench.proxy.meet(answer("429 Too Many Requests", b"busy", "Retry-After: 1"), where="watch=true")
        bench.proxy.cut_all()
        eventually(lambda: watches() == 2)
        began = time.monotonic()
        eventually(lambda: watches() == 3)
        assert time.monotonic() - began > 0.8
        bench.make("a")
        assert "a" in [each.object["metadata"]["name"] for each in informer.poll()]


def test_what_is_told_again_is_not_new(bench: Bench) -> None:
    since = bench.revision
    some_life(bench)
    history = bench.client.text("GET", PATH, query={"watch": "true", "resourceVersion": str(since)})
    assert history.count(b"\n") == len(bench.history(since))
    with bench.informer() as informer:
        informer.poll()
        bench.proxy.meet(stream(history), where="watch=true")
        bench.proxy.cut_all()
        bench.make("new")
        assert [each.object["metadata"]["name"] for each in informer.poll()] == ["new"]


def test_what_cannot_be_listed_is_said_at_once(bench: Bench) -> None:
    jane = bench.server.with_token(bench.cluster.token_for("jane"))
    with pytest.raises(ClusterError, match=r'does not list /api/v1/configmaps: .*User "jane" cannot list'):
        Informer(jane, PATH, bench.clock, PACE).start()
    with pytest.raises(ClusterError, match="does not list /api/v1/gremlins"):
        Informer(bench.server, "/api/v1/gremlins", bench.clock, PACE).start()
    jane.close()


@pytest.mark.parametrize("fault", ["dropped", "500", "silence", "an end at once", "nonsense"])
def test_a_watch_that_does_not_come_about_any_more_is_an_error_for_good(bench: Bench, fault: str) -> None:
    pace = Pace(watch=5.0, slack=1.0, lag=0.1, give_up=1.0, first_pause=0.01, longest_pause=0.05)
    with bench.informer(pace) as informer:
        informer.poll()
        bench.proxy.meet(*[FAULTS[fault]] * 1000, where="watch=true")
        bench.proxy.cut_all()
        bench.make("a")
        with pytest.raises(ClusterError) as caught:
            informer.poll()
        assert bench.proxy.url in str(caught.value)
        assert PATH in str(caught.value)
        bench.proxy.calm()
        time.sleep(0.3)
        with pytest.raises(ClusterError):
            informer.poll()


def test_silence_is_not_taken_for_calm_when_the_server_is_gone(bench: Bench) -> None:
    with bench.informer() as informer:
        informer.poll()
        bench.proxy.close()
        with pytest.raises(ClusterError, match=bench.proxy.url):
            informer.poll()


@pytest.mark.parametrize("found_by", ["a poll", "the watch"])
def test_a_history_that_went_back_is_an_error(bench: Bench, found_by: str) -> None:
    """So it is after etcd was restored, or when another cluster has taken the place."""
    for number in range(5):
        bench.make(f"c{number}")
    with ExitStack() as open_:
        other = Cluster()
        open_.callback(other.close)
        # Of the same seed, and so with the same token.
        other.token_for()
        served = serve(other)
        open_.callback(served.close)
        informer = open_.enter_context(bench.informer())
        informer.poll()
        assert other.store.revision < bench.revision
        bench.proxy.upstream = served.url
        if found_by == "the watch":
            bench.proxy.meet(ERROR_410, where="watch=true")
            bench.proxy.cut_all()
            eventually(lambda: not [each for each in threading.enumerate() if PATH in each.name])
        for _ in range(2):
            with pytest.raises(ClusterError, match="went back from revision"):
                informer.poll()


def test_more_events_than_are_kept_are_blamed_on_who_made_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informers, "MAX_EVENTS", 20)
    with bench.informer() as informer:
        for number in range(30):
            bench.make(f"c{number}")
        with pytest.raises(FloodError, match="more than 20 events"):
            informer.poll()


def test_what_others_do_is_no_flood_of_the_world_that_watches(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informers, "MAX_EVENTS", 20)
    with bench.informer(counted=lambda obj: str(obj["metadata"]["name"]).startswith("mine")) as informer:
        for number in range(30):
            bench.make(f"theirs{number}")
        for number in range(20):
            bench.make(f"mine{number}")
        assert len(informer.poll()) >= 50
        for number in range(30):
            bench.make(f"mine-too{number}")
        with pytest.raises(FloodError, match="more than 20 events"):
            informer.poll()


def test_times_are_those_of_the_clock_when_things_happened(bench: Bench) -> None:
    bench.make("old")
    bench.cluster.advance(3600.0)
    with bench.informer() as informer:
        informer.poll()
        before = bench.clock.now()
        bench.make("a")
        (made,) = informer.poll()
        between = bench.clock.now()
        time.sleep(0.1)
        bench.remove("a")
        (removed,) = informer.poll()
        assert before <= made.seconds <= between <= removed.seconds - 0.1 <= bench.clock.now()


@pytest.mark.parametrize(
    "fault",
    [None, *(FAULTS[each] for each in ("dropped", "500", "silence"))],
    ids=["quiet", "dropped", "500", "silence"],
)
def test_nothing_is_left_after_the_end(bench: Bench, fault: Fault | None) -> None:
    threads = threading.active_count()
    open_before = bench.proxy.connections
    with bench.informer():
        if fault is not None:
            bench.proxy.meet(*[fault] * 1000, where="watch=true")
            bench.proxy.cut_all()
            time.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 2.0
    bench.server.close()
    eventually(lambda: threading.active_count() <= threads)
    eventually(lambda: bench.proxy.connections <= open_before)


def test_a_kind_has_an_informer_of_its_own_and_revisions_compare(bench: Bench) -> None:
    with bench.informer() as maps, bench.informer(path="/api/v1/secrets") as secrets:
        maps.poll()
        secrets.poll()
        bench.make("a")
        bench.client.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "b"}})
        bench.make("c")
        events = sorted([*maps.poll(), *secrets.poll()], key=lambda each: each.revision)
        assert [each.object["metadata"]["name"] for each in events] == ["a", "b", "c"]


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("fault"), st.sampled_from([*FAULTS, *FORGETTING])),
        st.tuples(st.just("fault in a list"), st.sampled_from([*FAULTS])),
        st.tuples(st.just("cut"), st.just("")),
        st.tuples(st.just("poll"), st.just("")),
    ),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    yield bench
    bench.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_dropped_events_add_up_to_the_state_of_the_server(
    shared: Bench, steps: list[tuple[str, str]]
) -> None:
    shared.proxy.calm()
    shared.clear()
    began = shared.revision
    with shared.informer() as informer:
        events: list[Observed] = []
        for step, detail in steps:
            events += _taken(shared, informer, step, detail)
        shared.proxy.calm()
        events += informer.poll()
        gaps = informer.gaps
    assert summed(events) == shared.state()
    assert in_order(events)
    if not gaps:
        assert [each for each in told(events) if each[0] > began] == shared.history(began)


def _taken(bench: Bench, informer: Informer, step: str, detail: str) -> Sequence[Observed]:
    there = {each["metadata"]["name"] for each in bench.client.get(HOME)["items"]}
    if step == "write":
        (bench.change if detail in there else bench.make)(detail)
    elif step == "remove" and detail in there:
        bench.remove(detail)
    elif step == "fault":
        bench.proxy.meet({**FAULTS, **FORGETTING}[detail], where="watch=true")
    elif step == "fault in a list":
        bench.proxy.meet(FAULTS[detail], where=f"GET {PATH} ")
    elif step == "cut":
        bench.proxy.cut_all()
    elif step == "poll":
        try:
            return informer.poll()
        except ClusterError:
            # Lists are asked for again a few times; one that is broken for longer is an error for now.
            bench.proxy.calm()
    return ()
