"""Images that stand in for a scenario's, put together without a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from pytest_selfrep.clusters import standins
from pytest_selfrep.errors import ClusterError


def packed(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {each.name: file.read() for each in tar if (file := tar.extractfile(each)) is not None}


class Layout:
    """An OCI image layout in the making."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def put(self, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def put_json(self, value: Any) -> dict[str, Any]:
        return self.put(orjson.dumps(value))


def busybox(*, elsewhere: bool = True) -> bytes:
    """As containerd exports it: an index of platforms, of which only this one's layers are there."""
    layout = Layout()
    layer = packed({"bin/busybox": b"", "bin/sh": b"", "bin/sleep": b""})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/local/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {"config": layout.put_json(config), "layers": [layout.put(gzip.compress(layer))]}
    entries = [layout.put_json(manifest)]
    if elsewhere:
        entries.insert(0, {"digest": "sha256:" + "0" * 64, "size": 1})
    index = layout.put_json({"manifests": entries})
    layout.files["index.json"] = orjson.dumps({"manifests": [index]})
    return packed(layout.files)


def image_in(archive: bytes, name: str) -> tuple[dict[str, Any], list[dict[str, bytes]]]:
    """The configuration and the layers of an image, with all digests checked."""
    files = unpacked(archive)
    for path, data in files.items():
        if path.startswith("blobs/"):
            assert path == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"

    def blob(entry: dict[str, Any]) -> bytes:
        data = files[f"blobs/sha256/{entry['digest'].partition(':')[2]}"]
        assert len(data) == entry["size"]
        return data

    entries = orjson.loads(files["index.json"])["manifests"]
    entry = next(each for each in entries if each["annotations"]["io.containerd.image.name"] == name)
    manifest = orjson.loads(blob(entry))
    config = orjson.loads(blob(manifest["config"]))
    layers = []
    for each, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        data = blob(each)
        plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        assert diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
        layers.append(unpacked(plain))
    return config, layers


def test_each_image_has_what_is_started_from_it() -> None:
    images = {"acme.io/web:1": {"/app/web"}, "acme.io/tool:2": {"tool"}}
    archive = standins.archive(standins.base_of(busybox()), images)
    config, (base, added) = image_in(archive, "acme.io/web:1")
    assert "bin/sh" in base
    assert {"app/web", "usr/local/bin/serve"} <= added.keys()
    assert added["app/web"].startswith(b"#!/bin/sh\n")
    assert config["config"]["Cmd"] == ["/usr/local/bin/serve"]
    assert config["config"]["Env"] == ["PATH=/usr/local/bin:/bin"]
    _, (_, other) = image_in(archive, "acme.io/tool:2")
    assert "usr/local/bin/tool" in other
    assert "app/web" not in other


def test_what_the_base_has_stays_what_it_is() -> None:
    archive = standins.archive(standins.base_of(busybox()), {"a:1": {"sh", "/bin/sleep"}})
    _, (_, added) = image_in(archive, "docker.io/library/a:1")
    assert not {"usr/local/bin/sh", "bin/sleep"} & added.keys()


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("acme/web", "docker.io/acme/web:latest"),
        ("registry.acme.io:5000/web", "registry.acme.io:5000/web:latest"),
        ("localhost/web:2", "localhost/web:2"),
        ("acme.io/web@sha256:00", "acme.io/web@sha256:00"),
    ],
)
def test_names_are_those_that_containerd_knows(image: str, full: str) -> None:
    assert standins.full_name(image) == full


@pytest.mark.parametrize("archive", [b"", b"no tar", packed({"index.json": b"{"}), packed({"a": b""})])
def test_what_is_no_archive_of_an_image_is_one_clear_error(archive: bytes) -> None:
    with pytest.raises(ClusterError, match=r"busybox:1\.36\.1 cannot be read as an OCI archive"):
        standins.base_of(archive)
