"""One served cluster for the tests of a module, a namespace and a home directory for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl_driver import Kubectl, Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def kubectl(site: Site, tmp_path: Path) -> Kubectl:
    """A terminal of the administrator in an empty namespace."""
    return site.terminal(tmp_path / "home", site.new_namespace())
