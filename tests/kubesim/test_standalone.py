"""``python -m pytest_selfrep.kubesim``: a cluster of one's own, started, used and ended as a person does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.manifests import ManifestError, load

COMMAND = (sys.executable, "-m", "pytest_selfrep.kubesim")
PATIENCE = 60
WEB = """\
# Comments do not count.
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
"""


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A cluster and its kubeconfig."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"export KUBECONFIG=(.+)\n", line)
        assert found, (line, process.stderr.read() if process.stderr else "")
        yield process, Path(shlex.split(found[1])[0])
    finally:
        process.kill()
        process.communicate()


def kubectl(kubeconfig: Path, command: str) -> str:
    ran = subprocess.run(
        ["kubectl", "--kubeconfig", str(kubeconfig), *shlex.split(command)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return ran.stdout + ran.stderr


def refused(*arguments: str) -> str:
    """What is said, in one line, instead of starting."""
    ran = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    return line


def test_kubectl_works_on_it_until_it_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    options = ("--rate", "100", "--nodes", "2", "--node-cpu", "8", "--node-gpus", "4", "--load", str(file))
    with running(*options, "--namespace", "shop") as (process, kubeconfig):
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        nodes = kubectl(
            kubeconfig, "get nodes -o custom-columns=N:.metadata.name,C:.status.capacity --no-headers"
        )
        assert re.findall(r"^worker-\d", nodes, re.MULTILINE) == ["worker-1", "worker-2"]
        assert "cpu:8" in nodes
        assert "nvidia.com/gpu:4" in nodes
        assert "condition met" in kubectl(
            kubeconfig, "wait --for=condition=Available deployment/web --timeout=30s"
        )
        assert kubectl(kubeconfig, "get pods --no-headers").count("Running") == 2
        assert kubectl(kubeconfig, "auth can-i get pods --as bob --as-group dev").strip().endswith("no")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not kubeconfig.exists()


def test_its_time_is_now_and_its_end_is_an_interrupt(tmp_path: Path) -> None:
    wanted = tmp_path / "my config"
    with running("--kubeconfig", str(wanted), "--nodes", "0") as (process, kubeconfig):
        assert kubeconfig == wanted
        created = kubectl(kubeconfig, "get ns default -o jsonpath={.metadata.creationTimestamp}")
        assert (
            abs(time.mktime(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time())
            < PATIENCE
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert not wanted.exists()


def test_a_rate_lets_its_time_run_faster() -> None:
    with running("--rate", "3600", "--nodes", "0") as (_, kubeconfig):
        time.sleep(1)
        age = kubectl(kubeconfig, "get ns default --no-headers").split()[-1]
    assert re.fullmatch(r"\d+(m|h|d).*", age), age


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert re.fullmatch(
            rf"error: port {port}: .*; choose another with --port, or leave --port out for any free one",
            refused("--port", str(port)),
        )


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "config"
    mine.write_text("precious")
    assert refused("--kubeconfig", str(mine)) == (
        f"error: --kubeconfig {mine}: the file exists and is not overwritten; remove it or name another"
    )
    assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--port", "99999"), "error: argument --port: '99999' is not a port from 0 to 65535"),
        (("--rate", "0"), "error: argument --rate: '0' is not a number above 0"),
        (("--rate", "nan"), "error: argument --rate: 'nan' is not a number above 0"),
        (("--nodes", "-1"), "error: argument --nodes: '-1' is not a number from 0 to 1000"),
        (
            ("--node-memory", "lots"),
            "error: argument --node-memory: 'lots' is not a quantity above 0, such as 4, 500m or 16Gi",
        ),
        (("--nonsense",), "error: unrecognized arguments: --nonsense; --help lists all that there are"),
        (
            ("--kubeconfig", "/nowhere/at/all"),
            "error: --kubeconfig /nowhere/at/all: No such file or directory; name a file that can be made",
        ),
        (("--load", "/nowhere.yaml"), "error: /nowhere.yaml: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(arguments: tuple[str, ...], expected: str) -> None:
    assert refused(*arguments) == expected


def test_help_names_every_option_and_shows_examples() -> None:
    shown = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True, env={**os.environ}
    ).stdout
    for option in ("port", "kubeconfig", "namespace", "rate", "seed", "nodes", "load"):
        assert f"--{option} " in shown
    for option in ("node-cpu", "node-memory", "node-gpus"):
        assert f"--{option} " in shown
    assert "examples:" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Pod\n", "1: apiVersion is missing"),
        ("---\napiVersion: v1\nkind: Pod\n", "2: metadata.name is missing"),
        ("a: 1\n---\n- b\n", "1: apiVersion is missing"),
        ("apiVersion: v1\nkind: [\n", "3: no valid YAML: "),
        (
            "\napiVersion: acme.io/v1\nkind: Shop\nmetadata: {name: a}\n",
            "2: the cluster has no kind Shop in acme.io/v1",
        ),
        (
            WEB + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 0}]}\n",
            '16: Service "web" is invalid: [spec.ports[0].port: Invalid value: 0: ',
        ),
    ],
)
def test_errors_in_manifests_name_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    with pytest.raises(ManifestError, match=re.escape(f"{file}:{expected}")):
        load(Cluster(), file)


def test_lists_are_applied_item_by_item(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    items = "".join(f"- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: c{n}}}}}\n" for n in range(3))
    file.write_text(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert load(Cluster(), file) == 3
