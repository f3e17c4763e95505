"""Paths that are no resources: discovery, OpenAPI, health, version, and who issues tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_selfrep.kubesim.addresses import API_SERVER
from pytest_selfrep.kubesim.apiserver.http import JSON, Request, Response
from pytest_selfrep.kubesim.auth.authn import ISSUER
from pytest_selfrep.kubesim.discovery import documents as discovery
from pytest_selfrep.kubesim.discovery import health
from pytest_selfrep.kubesim.discovery.resources import Resource
from pytest_selfrep.kubesim.discovery.version import VERSION
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.openapi import documents, protobuf, swagger
from pytest_selfrep.kubesim.status import method_not_allowed, unknown_resource

_PLAIN: Final = "text/plain; charset=utf-8"
_JSON: Final = (JSON, "application/*", "*/*", "text/plain")
"""All the media types that mean JSON to documents of OpenAPI."""
_ROUTED: Final = ("/api", "/apis", "/version", "/.well-known/")
"""Paths that can only be read; all others of this module answer whatever the method."""
_FOREVER: Final = {"Cache-Control": "public, immutable", "Vary": "Accept"}
_CHECKED: Final = {"Vary": "Accept"}


def answer(request: Request, resources: tuple[Resource, ...]) -> Response:
    """A path that is no resource, of a server with these. Raises StatusError."""
    path, query = request.path, dict(request.query)
    excluded = [value for name, value in request.pairs() if name == "exclude"]
    said = health.answer(path, query, excluded)
    if said is not None:
        return Response(200, said, _PLAIN, headers={"X-Content-Type-Options": "nosniff"})
    if path == "/openapi/v2" or path.startswith("/openapi/v3"):
        return _openapi(request, path, query, resources)
    if path == "/":
        return Response(200, {"paths": _paths(resources)}, JSON)
    if not path.startswith(_ROUTED):
        return not_found()
    if request.method != "GET":
        raise method_not_allowed()
    path = path.rstrip("/")
    if path in ("/api", "/apis"):
        version = discovery.accepted(request.headers.get("accept", ""))
        if version:
            content, digest = discovery.aggregated(resources, version, path == "/api")
            return _cached(request, content, digest, discovery.media_type(version), _CHECKED)
    found = _document(path, resources)
    if found is None:
        _, *parts = (*path.split("/"), "")
        known = parts[0] == "api" or (parts[0] == "apis" and serves(parts[1], resources))
        if known:
            raise unknown_resource()
        return not_found()
    return Response(200, found, JSON)


def serves(group: str, resources: tuple[Resource, ...]) -> bool:
    """Whether anything of an API group is served."""
    return any(each.kind.group == group for each in resources)


def not_found() -> Response:
    """A path of which no API server knows anything."""
    return Response(404, "404 page not found\n", _PLAIN, headers={"X-Content-Type-Options": "nosniff"})


def _document(path: str, resources: tuple[Resource, ...]) -> Object | None:
    if path == "/version":
        return VERSION
    if path == "/.well-known/openid-configuration":
        return {
            "issuer": ISSUER,
            "jwks_uri": f"https://{API_SERVER}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
    if path in ("/api", "/apis") or path.startswith(("/api/", "/apis/")):
        return discovery.document(path, resources)
    return None


def _openapi(
    request: Request, path: str, query: Mapping[str, str], resources: tuple[Resource, ...]
) -> Response:
    accept = request.headers.get("accept", "")
    if path == "/openapi/v2" and _prefers_protobuf(accept):
        message, digest = protobuf.document(resources)
        return _cached(request, message, digest, protobuf.MEDIA_TYPE, _CHECKED)
    if not _takes_json(accept):
        return Response(406, "", _PLAIN, headers=_CHECKED)
    if path == "/openapi/v2":
        whole = swagger.document(resources)
        return _cached(request, whole.content, whole.hash, JSON, _CHECKED)
    name = path.removeprefix("/openapi/v3").strip("/")
    if not name:
        return Response(200, documents.index(resources), JSON, headers=_CHECKED)
    parts = name.split("/")
    group = parts[1] if parts[0] == "apis" and len(parts) == 3 else ""
    if name != documents.key(group, parts[-1]):
        raise unknown_resource()
    try:
        found = documents.document(resources, group, parts[-1])
    except LookupError:
        raise unknown_resource() from None
    asked = query.get("hash")
    if asked and asked != found.hash:
        # What the client has read of is gone; where it is now says this.
        moved = {"Location": f"/openapi/v3/{name}?hash={found.hash}"}
        return Response(301, "", _PLAIN, headers=moved)
    return _cached(request, found.content, found.hash, JSON, _FOREVER if asked else _CHECKED)


def _prefers_protobuf(accept: str) -> bool:
    known = (each for each in _media(accept) if each in (*protobuf.ACCEPTED, *_JSON))
    return next(known, JSON) in protobuf.ACCEPTED


def _takes_json(accept: str) -> bool:
    return not accept or not set(_media(accept)).isdisjoint(_JSON)


def _media(accept: str) -> list[str]:
    return [each.partition(";")[0].strip() for each in accept.split(",")]


def _cached(
    request: Request, content: Json, digest: str, media_type: str, headers: Mapping[str, str]
) -> Response:
    """A document that clients keep, or that they have kept already."""
    tag = f'"{digest}"'
    known = (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(","))
    if tag in known:
        return Response(304, "", media_type, headers={**headers, "ETag": tag})
    return Response(200, content, media_type, headers={**headers, "ETag": tag})


def _paths(resources: tuple[Resource, ...]) -> list[str]:
    """All paths that answer something."""
    found = {
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/apis/",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/version",
    }
    for group, version in documents.group_versions(resources):
        found |= {f"/{documents.key(group, version)}", f"/apis/{group}" if group else "/api"}
    for whole, checks in health.CHECKS.items():
        found |= {f"/{whole}", *(f"/{whole}/{check}" for check in checks)}
    return sorted(found)
