"""The probe of the fences: what it takes for denials, and what it cannot tell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated

from pytest_selfrep.clusters import egress
from pytest_selfrep.clusters.containment import Server
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError

BESIDE, OUTSIDE, API = "10.0.0.1,8080", "1.1.1.1,443", "10.43.0.1,443"


def probed(folder: Path, opened: str, *, nc: str | None = None) -> tuple[int, str]:
    """Exit code and output of the probe where nc reaches what ``opened`` (a pattern of sh) matches."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {
        "nc": nc or f'case "$3,$4" in {opened}) exit 0;; esac; exit 1',
        "sleep": "exit 0",
    }.items():
        if text != "none":
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
    command = ["/bin/sh", "-c", egress.SCRIPT, "probe", f"{BESIDE} {OUTSIDE}", API]
    done = subprocess.run(
        command, env={**os.environ, "PATH": str(programs)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


def test_denials_count_where_what_is_allowed_can_be_reached(tmp_path: Path) -> None:
    assert probed(tmp_path, API) == (0, "")


@pytest.mark.parametrize("opened", [BESIDE, OUTSIDE])
def test_whatever_else_is_reached_is_said(tmp_path: Path, opened: str) -> None:
    code, said = probed(tmp_path, f"{opened}|{API}")
    assert (code, said) == (1, opened.replace(",", " at port "))


def test_denials_mean_nothing_where_nothing_at_all_is_reached(tmp_path: Path) -> None:
    code, said = probed(tmp_path, "nothing")
    assert code == 3
    assert said.startswith(f"it does not even reach what it may, of which are:{API}")


def test_denials_mean_nothing_without_nc(tmp_path: Path) -> None:
    assert probed(tmp_path, API, nc="none") == (3, "there is no nc in its image")


def test_one_denial_among_several_tries_is_none(tmp_path: Path) -> None:
    """As on a network that loses packets."""
    tries = tmp_path / "tries"
    tries.write_text("")
    lossy = f'[ "$3" = 10.0.0.1 ] || exit 1; echo >>{tries}; [ $(($(wc -l <{tries}) % 3)) = 0 ]'
    shell = f'PATH=/bin:/usr/bin\ncase "$3,$4" in {API}) exit 0;; esac\n{lossy}'
    assert probed(tmp_path, API, nc=shell) == (1, BESIDE.replace(",", " at port "))


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Iterator[Https]:
    transport = from_kubeconfig(one_kubernetes(request.config).kubeconfig(), "default")
    yield transport
    transport.close()


def cleared(site: Site) -> bool:
    site.close(wait=True)
    return site.stayed == []


@pytest.mark.docker
@pytest.mark.parametrize("real", [KUBERNETES], indirect=True)
def test_a_cluster_that_enforces_no_policies_is_found_out(real: Https) -> None:
    site = Site(real, bring=lambda images: None)
    with pytest.raises(ClusterError, match=r"enforce NetworkPolicies: .*a pod beside it at port 8080"):
        site.seal("busybox:1.36.1", allow_egress=False)
    assert cleared(site)


def test_what_could_not_be_found_out_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str | ClusterError] = [ClusterError("the image is still being pulled"), ""]

    def reached(*args: object) -> str:
        answer = answers.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    monkeypatch.setattr(egress, "reached", reached)
    for server in simulated(tmp_path):
        site = Site(server, bring=lambda images: None)
        with pytest.raises(ClusterError, match="still being pulled"):
            site.seal("busybox:1.36.1", allow_egress=False)
        for _ in range(2):
            site.seal("busybox:1.36.1", allow_egress=False)
        assert answers == []
        assert cleared(site)


def test_the_probe_may_reach_the_api_server_and_nothing_else() -> None:
    policies = list(egress._policies("here", [Server("10.0.0.9", 6443)]))
    rules = [rule for each in policies for rule in each["spec"].get("egress") or ()]
    assert [rule["ports"] for rule in rules if "ipBlock" in rule["to"][0]] == [
        [{"protocol": "TCP", "port": 6443}]
    ]
