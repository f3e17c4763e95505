"""The same documents as one of OpenAPI v2 (Swagger), for clients that know no other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pytest_selfrep.kubesim.discovery.resources import Resource
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.openapi import documents
from pytest_selfrep.kubesim.openapi.definitions import REF
from pytest_selfrep.kubesim.openapi.documents import Document

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_UNKNOWN_TO_V2: Final = frozenset({"oneOf", "anyOf", "allOf", "not", "nullable"})
_REMEMBERED = 4


@lru_cache(maxsize=_REMEMBERED)
def document(resources: tuple[Resource, ...]) -> Document:
    """All that is served, in one document."""
    paths: Object = {}
    definitions: Object = {}
    for group, version in documents.group_versions(resources):
        content = documents.document(resources, group, version).content
        paths |= {path: _path(said) for path, said in content["paths"].items()}
        definitions |= content["components"]["schemas"]
    token = {"type": "apiKey", "description": "Bearer Token authentication"}
    content = {
        "swagger": "2.0",
        "info": content["info"],
        "paths": dict(sorted(paths.items())),
        "definitions": {name: _schema(schema) for name, schema in sorted(definitions.items())},
        "securityDefinitions": {"BearerToken": {**token, "name": "authorization", "in": "header"}},
        "security": [{"BearerToken": []}],
    }
    return documents.sealed(content)


def _path(said: Object) -> Object:
    found: Object = {"parameters": [_parameter(each) for each in said.get("parameters", ())]}
    return found | {method: _operation(said[method]) for method in said if method in _METHODS}


def _operation(said: Object) -> Object:
    found = {
        key: value for key, value in said.items() if key not in ("requestBody", "responses", "parameters")
    }
    parameters = [_parameter(each) for each in said.get("parameters", ())]
    body = said.get("requestBody")
    if body:
        schema = _schema(next(iter(body["content"].values()))["schema"])
        sent: Object = {"name": "body", "in": "body", "schema": schema}
        parameters.insert(0, {**sent, "required": True} if body.get("required") else sent)
    found["consumes"] = list(body["content"]) if body else ["*/*"]
    found["produces"] = list(said["responses"]["200"]["content"])
    found["schemes"] = ["https"]
    found["parameters"] = parameters
    found["responses"] = {code: _response(answer) for code, answer in said["responses"].items()}
    return found


def _response(answer: Object) -> Object:
    found: Object = {"description": answer["description"]}
    if "content" in answer:
        found["schema"] = _schema(next(iter(answer["content"].values()))["schema"])
    return found


def _parameter(said: Object) -> Object:
    schema: Object = said["schema"]
    return {key: value for key, value in said.items() if key != "schema"} | schema


def _schema(schema: Mapping[str, Any]) -> Object:
    """A schema in v2's words: a reference may have neighbours there, and what v2 cannot say is left out."""
    found: Object = {}
    for key, value in schema.items():
        if key == "allOf" and len(value) == 1 and "$ref" in value[0]:
            found["$ref"] = _reference(value[0]["$ref"])
        elif key == "$ref" and isinstance(value, str):
            found["$ref"] = _reference(value)
        elif key == "properties":
            found[key] = {name: _schema(each) for name, each in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _schema(value)
        elif key == "oneOf" and "type" not in schema:
            # Quantities and the like are written as texts.
            found["type"] = "string"
        elif key not in _UNKNOWN_TO_V2 and not _needless(key, value):
            found[key] = value
    return found


def _reference(ref: str) -> str:
    return f"#/definitions/{ref.removeprefix(REF)}"


def _needless(key: str, value: Json) -> bool:
    """v2 has no defaults but those that somebody chose."""
    return key == "default" and value in ("", 0, False, {})
