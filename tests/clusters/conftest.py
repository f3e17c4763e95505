"""Tests that need Docker run where there is a real Kubernetes to be run (see real_kubernetes)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from real_kubernetes import one_kubernetes
from runs import Runs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "killing" in metafunc.fixturenames:
        metafunc.parametrize("killing", range(metafunc.config.getoption("--killings")))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "really: asked of a real Kubernetes too, where there is one")


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    """Of the k3s that tests run."""
    name = one_kubernetes(request.config).image
    assert name is not None
    return name


@pytest.fixture
def runs(tmp_path: Path, image: str) -> Iterator[Runs]:
    found = Runs(tmp_path, image)
    yield found
    found.close()
