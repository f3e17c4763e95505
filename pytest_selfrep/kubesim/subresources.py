"""Subresources that belong to no one part of the cluster: status, finalize."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim import patch
from pytest_selfrep.kubesim.calls import Call, Handler
from pytest_selfrep.kubesim.http import Response
from pytest_selfrep.kubesim.objects import copy
from pytest_selfrep.kubesim.verbs import body_of


def get_part(call: Call) -> Response:
    return Response(200, call.stored())


def update_part(call: Call) -> Response:
    stored = call.backend.registry.update(
        call.kind, body_of(call), call.user.name, subresource=call.target.subresource, dry_run=call.dry_run
    )
    return Response(200, stored)


def patch_part(call: Call) -> Response:
    stored = call.backend.registry.update(
        call.kind,
        copy(patch.merge(call.stored(), call.body)),
        call.user.name,
        subresource=call.target.subresource,
        dry_run=call.dry_run,
    )
    return Response(200, stored)


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    ("*", "status", "get"): get_part,
    ("*", "status", "update"): update_part,
    ("*", "status", "patch"): patch_part,
    ("namespaces", "finalize", "update"): update_part,
}
