"""What trials on a k3s cost: ``python benchmarks/real_clusters.py``. Takes Docker and a quarter of an hour.

Prints each figure beside its budget, and exits with 1 if one is missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from figures import Figures

from pytest_selfrep.clusters.docker_engine import engine
from pytest_selfrep.clusters.host import Owning
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.ownership import containers, owner_of
from pytest_selfrep.clusters.shared import HostSupply
from pytest_selfrep.clusters.shared_world import world
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.options import K3S_IMAGE
from pytest_selfrep.scenarios.loading import load

GATES, TRIALS, TURNS, PACE, WORKERS = 10, 10, 5, 60, 2
SUITE = f"""
import pytest

@pytest.mark.parametrize("number", range({GATES}))
@pytest.mark.selfrep("load-balancing", trials={TRIALS}, confidence=None, limits={{"turns": {TURNS}}},
                     timeline=[{{"turn": 0, "load": 110}}, {{"turn": 2, "load": 240}}])
def test_gate(selfrep, number):
    selfrep.run()
    selfrep.assert_risk_below(0.5)
"""
WORLDS = 5


def main() -> None:
    figures = Figures()
    image = os.environ.get("SELFREP_K3S_IMAGE", K3S_IMAGE)
    began = time.perf_counter()
    host = Owning(image, keep=False)
    supply = HostSupply(host)
    try:
        site = supply.site(supply.current())
        print(f"a cluster of {image} takes {time.perf_counter() - began:.1f} s to start")
        up_and_down(figures, site)
    finally:
        host.close()
    a_session(figures)
    figures.conclude()


def up_and_down(figures: Figures, site: Site) -> None:
    """What a trial waits for its world, one at a time, and whose time it is. Worlds go while others come."""
    scenario = load("load-balancing")
    ups, leaves, downs, ours = [], [], [], []
    for _ in range(WORLDS + 1):
        cpu, start = time.process_time(), time.perf_counter()
        with world(site, scenario, allow_egress=True) as built:
            ups.append(time.perf_counter() - start)
            ours.append(time.process_time() - cpu)
            names = built.namespaces
            start = time.perf_counter()
        leaves.append(time.perf_counter() - start)
        while any(exists(site.admin, name) for name in names):
            time.sleep(0.1)
        downs.append(time.perf_counter() - start)
    site.close(wait=True)
    # The first brings the images.
    up, leave, down, own = (statistics.median(each[1:]) for each in (ups, leaves, downs, ours))
    beside = f"up {up:.1f}, of which {own:.2f} are not Kubernetes'; it is gone {down:.1f} s after its trial"
    figures.show("what a trial waits for its world", up + leave, "s", most=5, beside=beside)


def exists(admin: KubeClient, namespace: str) -> bool:
    try:
        admin.get(path_of("", "v1", "namespaces", name=namespace))
    except ApiError as error:
        if error.code != 404:
            raise
        return False
    return True


def a_session(figures: Figures) -> None:
    """Many gates in several processes: how many clusters they start, and how many trials are under way."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_gates.py").write_text(SUITE)
        options = (
            *(f"-n{WORKERS}", "--selfrep-cluster=k3s", "--selfrep-agent=scripted/steady"),
            *(f"--selfrep-pace={PACE}", "--selfrep-allow-egress", "--selfrep-output=report"),
        )
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, *options],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        started = clusters_of(run)
        lines = Path(folder, "report", "trials.jsonl").read_text().splitlines()
    assert run.returncode == 0, f"the run exited with {run.returncode}"
    records = [json.loads(line) for line in lines]
    assert [each["kind"] for each in records] == ["trial"] * (GATES * TRIALS)
    starts = [datetime.fromisoformat(each["started"]).timestamp() for each in records]
    spans = [(start, start + each["seconds"]) for start, each in zip(starts, records, strict=True)]
    figures.show("clusters of a session", len(started), "", most=1)
    wall = max(end for _, end in spans) - min(start for start, _ in spans)
    in_flight = sum(end - start for start, end in spans) / wall
    figures.show(f"trials in flight, of {GATES} gates with -n {WORKERS}", in_flight, "", least=3)
    figures.show(f"{GATES * TRIALS} trials of {TURNS} turns", wall / 60, "min")


def clusters_of(run: subprocess.Popen[bytes]) -> set[str]:
    """The containers that a run had, when it is over."""
    seen: set[str] = set()
    with engine() as docker:
        while run.poll() is None:
            seen |= {str(each.id) for each in containers(docker.client) if owner_of(each).process == run.pid}
            time.sleep(0.5)
    return seen


if __name__ == "__main__":
    main()
