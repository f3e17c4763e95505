"""What a k3s is told when it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_selfrep.clusters import k3s, ownership


@pytest.mark.docker
def test_its_node_takes_as_many_pods_as_it_has_addresses_for(image: str, tmp_path: Path) -> None:
    container = k3s._container(image, ownership.this_process("any", tmp_path, kept=False))
    container.get_docker_client().client.close()
    assert f"--kubelet-arg=max-pods={k3s.MOST_PODS}" in (container._command or ())
    assert k3s.MOST_PODS < 254
