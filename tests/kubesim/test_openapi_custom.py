"""Custom resources in discovery and OpenAPI: what definitions add to the server's own."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_selfrep.kubesim.customresources.version import CustomVersion
from pytest_selfrep.kubesim.discovery import documents as discovery
from pytest_selfrep.kubesim.discovery.resources import Resource, builtin, served
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.openapi import documents
from pytest_selfrep.kubesim.openapi.definitions import schemas
from pytest_selfrep.kubesim.schema import struct

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A job that comes again.",
    "required": ["spec"],
    "properties": {
        "spec": {"type": "object", "properties": {"cron": {"type": "string", "pattern": "^.+$"}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def cron_tab(version: str = "v1", schema: dict[str, Any] = SCHEMA) -> Kind:
    custom = CustomVersion("CronTabs", schema)
    return Kind(
        "stable.acme.io",
        version,
        "CronTab",
        "crontabs",
        "crontab",
        namespaced=True,
        short=("ct",),
        subresources=("status",),
        custom=custom,
    )


@pytest.fixture
def resources() -> tuple[Resource, ...]:
    return served((cron_tab(), cron_tab("v1beta1")))


def content(resources: tuple[Resource, ...], version: str = "v1") -> Any:
    return documents.document(resources, "stable.acme.io", version).content


def test_each_version_has_a_document_of_its_own(resources: tuple[Resource, ...]) -> None:
    added = set(documents.index(resources)["paths"]) - set(documents.index(builtin())["paths"])
    assert added == {"apis/stable.acme.io/v1", "apis/stable.acme.io/v1beta1"}


def test_documents_of_the_servers_own_stay_what_they_are(resources: tuple[Resource, ...]) -> None:
    assert documents.document(resources, "apps", "v1") is documents.document(builtin(), "apps", "v1")


def test_the_schema_is_the_definitions_with_what_every_object_has(resources: tuple[Resource, ...]) -> None:
    schema = content(resources)["components"]["schemas"]["io.acme.stable.v1.CronTab"]
    assert schema["description"] == "A job that comes again."
    assert schema["properties"]["spec"] == SCHEMA["properties"]["spec"]
    assert schema["properties"]["metadata"]["allOf"][0]["$ref"].endswith("meta.v1.ObjectMeta")
    assert schema["properties"]["kind"]["type"] == "string"
    known = [{"group": "stable.acme.io", "kind": "CronTab", "version": "v1"}]
    assert schema["x-kubernetes-group-version-kind"] == known


def test_lists_are_called_as_the_definition_says(resources: tuple[Resource, ...]) -> None:
    document = content(resources)
    schema = document["components"]["schemas"]["io.acme.stable.v1.CronTabs"]
    items = schema["properties"]["items"]["items"]["allOf"]
    assert items == [{"$ref": "#/components/schemas/io.acme.stable.v1.CronTab"}]
    listed = document["paths"]["/apis/stable.acme.io/v1/crontabs"]["get"]
    assert listed["operationId"] == "listStableAcmeIoV1CronTabForAllNamespaces"


def test_patches_have_no_strategic_form(resources: tuple[Resource, ...]) -> None:
    paths = content(resources)["paths"]
    patch = paths["/apis/stable.acme.io/v1/namespaces/{namespace}/crontabs/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}


def test_objects_without_known_fields_are_described_as_just_that() -> None:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    document = content(served((cron_tab(schema=anything),)))
    schema = document["components"]["schemas"]["io.acme.stable.v1.CronTab"]
    assert "properties" not in schema
    assert schema["x-kubernetes-preserve-unknown-fields"] is True


def test_definitions_themselves_are_described_down_to_any_json() -> None:
    prefix = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
    found = schemas([struct("apiextensions.v1.CustomResourceDefinition")])
    properties = found[f"{prefix}JSONSchemaProps"]["properties"]
    assert properties["not"]["allOf"] == [{"$ref": f"#/components/schemas/{prefix}JSONSchemaProps"}]
    assert properties["default"]["allOf"] == [{"$ref": f"#/components/schemas/{prefix}JSON"}]
    assert "type" not in found[f"{prefix}JSON"]


def test_discovery_has_them_with_the_newest_stable_version_first(resources: tuple[Resource, ...]) -> None:
    group = discovery.document("/apis/stable.acme.io", resources)
    assert group is not None
    assert [each["version"] for each in group["versions"]] == ["v1", "v1beta1"]
    groups = discovery.document("/apis", resources)
    assert groups is not None
    # Between the server's own and those that others serve.
    assert [each["name"] for each in groups["groups"]][-2:] == ["stable.acme.io", "metrics.k8s.io"]
    listed = discovery.document("/apis/stable.acme.io/v1", resources)
    assert listed is not None
    assert [each["name"] for each in listed["resources"]] == ["crontabs", "crontabs/status"]
