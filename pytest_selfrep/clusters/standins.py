"""Images that stand in for a scenario's, which nobody can pull: small servers under the names that it uses.

A stand-in is busybox and one layer more: a program at every path that the scenario starts, which serves HTTP
and ends when told. It is put together here, as an OCI image layout (opencontainers/image-spec), and given to
containerd; no registry and no Docker build is needed.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject

BASE = "docker.io/library/busybox:1.36.1"
PORT = 8080
PROGRAM = "/usr/local/bin/serve"
_SCRIPT = f"""#!/bin/sh
trap 'exit 0' TERM INT
echo "listening on port {PORT}"
httpd -f -p {PORT} -h /srv &
wait
"""
_PAGES = ("index.html", "healthz", "readyz", "livez", "metrics")
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class Base:
    """An image to stand upon."""

    manifest: KubeObject
    config: KubeObject
    blobs: Mapping[str, bytes]
    """Of its layers, by digest."""

    def programs(self) -> frozenset[str]:
        """Names of the files in it."""
        found: set[str] = set()
        for each in self.manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blobs[each["digest"]])) as tar:
                found.update(posixpath.basename(name) for name in tar.getnames())
        return frozenset(found)


def base_of(archive: bytes) -> Base:
    """The image in an OCI archive, as ``ctr images export`` writes it. ClusterError if there is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {
                member.name.removeprefix("./"): file.read()
                for member in tar.getmembers()
                if member.isfile() and (file := tar.extractfile(member)) is not None
            }
        blobs = {
            f"sha256:{name.rpartition('/')[2]}": data for name, data in files.items() if "blobs/" in name
        }
        manifest = _manifest(orjson.loads(files["index.json"]), blobs)
        layers = {each["digest"]: blobs[each["digest"]] for each in manifest["layers"]}
        return Base(manifest, orjson.loads(blobs[manifest["config"]["digest"]]), layers)
    except (tarfile.TarError, KeyError, IndexError, orjson.JSONDecodeError) as error:
        raise ClusterError(f"the image {BASE} cannot be read as an OCI archive: {error!r}") from error


def archive(base: Base, images: Mapping[str, Iterable[str]]) -> bytes:
    """An OCI archive of a stand-in for each image; ``images`` says which programs are started from it."""
    blobs, there = dict(base.blobs), base.programs()
    entries = []
    for name, programs in images.items():
        # A program that the base has is what it is called.
        layer = _layer(each for each in programs if posixpath.basename(each) not in there)
        config = {
            **base.config,
            "config": {
                **{
                    key: value
                    for key, value in (base.config.get("config") or {}).items()
                    if key != "Entrypoint"
                },
                "Cmd": [PROGRAM],
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [*base.config["rootfs"]["diff_ids"], _digest(layer)],
            },
        }
        config.pop("history", None)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _put(blobs, _CONFIG, orjson.dumps(config)),
            "layers": [*base.manifest["layers"], _put(blobs, _LAYER, layer)],
        }
        entry = _put(blobs, _MANIFEST, orjson.dumps(manifest))
        entries.append({**entry, "annotations": {"io.containerd.image.name": full_name(name)}})
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
    files = {f"blobs/sha256/{digest.partition(':')[2]}": data for digest, data in blobs.items()}
    files["oci-layout"] = orjson.dumps({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = orjson.dumps(index)
    return _tar((name, data, 0o644) for name, data in files.items())


def full_name(image: str) -> str:
    """As containerd knows it: with the registry, and the tag that is meant where none is said."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif first != "localhost" and not any(mark in first for mark in ".:"):
        image = f"docker.io/{image}"
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _manifest(index: KubeObject, blobs: Mapping[str, bytes]) -> KubeObject:
    """The manifest of the platform whose blobs are there, through indexes of platforms if need be."""
    for entry in index["manifests"]:
        found: KubeObject = orjson.loads(blobs.get(entry["digest"], b"{}"))
        if "manifests" in found:
            return _manifest(found, blobs)
        if "layers" in found and all(each["digest"] in blobs for each in (found["config"], *found["layers"])):
            return found
    raise KeyError("a manifest whose layers are all there")


def _layer(programs: Iterable[str]) -> bytes:
    paths = {PROGRAM, *(_path(program) for program in programs)}
    scripts = ((path.removeprefix("/"), _SCRIPT.encode(), 0o755) for path in sorted(paths))
    pages = ((f"srv/{name}", b"ok\n", 0o644) for name in _PAGES)
    return _tar([*scripts, *pages])


def _path(program: str) -> str:
    """Where a program has to be; a name alone is looked for in PATH."""
    return posixpath.normpath(posixpath.join("/usr/local/bin", program))


def _tar(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data, mode in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _put(blobs: dict[str, bytes], media_type: str, data: bytes) -> dict[str, Any]:
    digest = _digest(data)
    blobs[digest] = data
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
