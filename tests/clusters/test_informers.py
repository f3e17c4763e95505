"""Several watches of one world: they tell of the same moment, and end together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from informer_bench import HOME, PACE, PATH, Bench, in_order, summed
from unruly import DROPPED

from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.informers import Informers
from pytest_selfrep.clusters.kube import path_of
from pytest_selfrep.errors import ClusterError

SECRETS = "/api/v1/secrets"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    threads = threading.active_count()
    bench = Bench(tmp_path)
    yield bench
    bench.close()
    assert threading.active_count() == threads


@pytest.fixture
def informers(bench: Bench) -> Iterator[Informers]:
    informers = Informers(bench.server, bench.clock, PACE)
    yield informers
    informers.close()


def busily(bench: Bench, ended: threading.Event) -> None:
    """A config map, the secret that belongs to it, and so on."""
    number = 0
    while not ended.wait(0.01):
        number += 1
        bench.make(f"c{number}")
        bench.client.create(path_of("", "v1", "secrets", "default"), {"metadata": {"name": f"c{number}"}})


def test_watches_that_are_polled_in_turn_stop_at_the_same_revision(
    bench: Bench, informers: Informers
) -> None:
    secrets, maps = informers.watch(SECRETS), informers.watch(PATH)
    ended = threading.Event()
    writing = threading.Thread(target=busily, args=(bench, ended))
    writing.start()
    rounds: list[list[Observed]] = []
    for _ in range(15):
        rounds.append(sorted([*secrets.poll(), *maps.poll()], key=lambda each: each.revision))
    ended.set()
    writing.join()
    # All that was there at the beginning is told of in the first.
    later = [each for events in rounds[1:] for each in events]
    assert in_order(later)
    assert [each.seconds for each in later] == sorted(each.seconds for each in later)
    assert sum(map(bool, rounds)) > 5


def test_a_poll_after_something_has_happened_tells_of_it_whoever_polls_first(
    bench: Bench, informers: Informers
) -> None:
    secrets, maps = informers.watch(SECRETS), informers.watch(PATH)
    secrets.poll(), maps.poll()
    for name in ("a", "b", "c"):
        bench.make(name)
        assert secrets.poll() == []
        assert [each.object["metadata"]["name"] for each in maps.poll()] == [name]


def test_a_watch_that_begins_later_tells_of_all_at_its_first_poll(bench: Bench, informers: Informers) -> None:
    secrets = informers.watch(SECRETS)
    secrets.poll()
    bench.make("a")
    maps = informers.watch(PATH)
    bench.make("b")
    assert {"a", "b"} <= {each.object["metadata"]["name"] for each in maps.poll()}


def test_a_round_of_polls_lists_each_collection_once(bench: Bench, informers: Informers) -> None:
    watches = [informers.watch(SECRETS), informers.watch(PATH)]
    for _ in range(3):
        for watch in watches:
            watch.poll()
    # Once to begin with, and once in each round, whether something has happened or not.
    for path in (SECRETS, PATH):
        assert len([each for each in bench.proxy.seen if each.startswith(f"GET {path} ")]) == 4


def test_one_kind_is_watched_in_several_namespaces_without_rights_beyond_them(
    bench: Bench, informers: Informers
) -> None:
    other = HOME.replace("default", "kube-public")
    watch = informers.watch(HOME, other)
    events = [*watch.poll()]
    bench.make("a")
    bench.client.create(other, {"metadata": {"name": "b"}})
    bench.client.create(HOME.replace("default", "kube-system"), {"metadata": {"name": "unseen"}})
    bench.make("c")
    found = watch.poll()
    assert [each.object["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert {each["metadata"]["namespace"] for each in summed([*events, *found]).values()} == {
        "default",
        "kube-public",
    }


def test_one_watch_that_is_lost_is_the_loss_of_all(bench: Bench) -> None:
    informers = Informers(bench.server, bench.clock, PACE)
    secrets, maps = informers.watch(SECRETS), informers.watch(PATH)
    secrets.poll(), maps.poll()
    bench.proxy.meet(*[DROPPED] * 1000, where=PATH)
    bench.proxy.cut_all()
    with pytest.raises(ClusterError, match=PATH):
        secrets.poll()
    informers.close()


def test_a_watch_that_cannot_begin_leaves_the_others_to_be_closed(bench: Bench) -> None:
    informers = Informers(bench.server, bench.clock, PACE)
    informers.watch(PATH)
    with pytest.raises(ClusterError, match="gremlins"):
        informers.watch("/api/v1/gremlins")
    informers.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("informer")]
