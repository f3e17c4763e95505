"""Kubeconfigs as files that their owner alone can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_file(kubeconfig: str) -> Iterator[Path]:
    """A file with a kubeconfig, in a folder of its own; both are gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="kube-") as folder:
        path = Path(folder) / "config"
        write_private(path, kubeconfig)
        yield path


def write_private(path: Path, kubeconfig: str) -> None:
    """Make a file that its owner alone can read. FileExistsError if there is one."""
    # Created with its mode, so that nobody reads it in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(kubeconfig)
