"""What tests of models leave behind is cleared away after each."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def connections_are_closed() -> Iterator[None]:
    """Litellm keeps a client for each server, and drops them, unclosed, when there are many."""
    yield
    library = sys.modules.get("litellm")
    kept = {} if library is None else library.in_memory_llm_clients_cache.cache_dict
    for name, client in list(kept.items()):
        if hasattr(client, "base_url"):
            client.close()
            del kept[name]
