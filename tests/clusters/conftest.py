"""For tests of clusters: whole runs, and how often somebody is killed in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Runs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "killing" in metafunc.fixturenames:
        metafunc.parametrize("killing", range(metafunc.config.getoption("--killings")))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "really: asked of a real Kubernetes too, where there is one")


@pytest.fixture
def runs(tmp_path: Path, image: str) -> Iterator[Runs]:
    found = Runs(tmp_path, image)
    yield found
    found.close()
