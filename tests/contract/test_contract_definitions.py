"""CustomResourceDefinitions: which are refused, and what stays as it is in those that are there."""

from __future__ import annotations

import re

import pytest
from api_client import PATCHES, Object
from shirts import DEFINITIONS, Shirts, schema, version

GO = re.compile(r"(\[\])?apiextensions\..*?\}+(?=: )")
"""A value as Go writes it."""
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            {"group": "other.example.com"},
            'metadata.name: Invalid value: "shirts.<namespace>.example.com": '
            'must be spec.names.plural+"."+spec.group',
        ),
        (
            {"scope": "Galaxy"},
            'spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"',
        ),
        (
            {"versions": [version(schema=None)]},
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            {"versions": [version(schema={"openAPIV3Schema": {"properties": {}}})]},
            "spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root",
        ),
        (
            {"versions": [schema(properties={"spec": {"properties": {"a": {}}}})]},
            "[spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: "
            "must not be empty for specified object fields, "
            "spec.validation.openAPIV3Schema.properties[spec].type: Required value: "
            "must not be empty for specified object fields]",
        ),
        (
            {"versions": [schema(properties={"metadata": {"type": "object", "required": ["labels"]}})]},
            "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything "
            "other than name and generateName, but metadata is implicitly specified",
        ),
        pytest.param(
            {"versions": [schema(properties={"a": {"type": "integer", "default": "one"}})]},
            'spec.validation.openAPIV3Schema.properties[a].default: Invalid value: "string": '
            'default in body must be of type integer: "string"',
            marks=pytest.mark.since("1.32"),
        ),
        (
            {"versions": [version(), version("v2")]},
            "[spec.versions: Invalid value: <Go>: must have exactly one version marked as storage version, "
            "status.storedVersions: Invalid value: <Go>: must have the storage version v2]",
        ),
        (
            {"versions": [version(), version(storage=False)]},
            "spec.versions: Invalid value: <Go>: must contain unique version names",
        ),
        (
            {"names": {"plural": "shirts", "kind": "Shirt", "shortNames": ["S"]}},
            f'spec.names.shortNames[0]: Invalid value: "S": {DNS_1035}',
        ),
        (
            {"names": {"plural": "shirts", "kind": "shirt!"}},
            f'[spec.names.singular: Invalid value: "shirt!": {DNS_1035}, '
            'spec.names.kind: Invalid value: "shirt!": may have mixed case, '
            f"but should otherwise match: {DNS_1035}, "
            'spec.names.listKind: Invalid value: "shirt!List": may have mixed case, '
            f"but should otherwise match: {DNS_1035}]",
        ),
        (
            {"conversion": {"strategy": "Webhook"}},
            "[spec.conversion.webhookClientConfig: Required value: "
            "required when strategy is set to Webhook, "
            "spec.conversion.conversionReviewVersions: Required value]",
        ),
    ],
)
def test_a_definition_is_refused(shirts: Shirts, change: Object, wrong: str) -> None:
    manifest = shirts.manifest()
    manifest["spec"] |= change
    code, reason, message = shirts.kube.refusal("POST", DEFINITIONS, manifest)

    assert (code, reason) == (422, "Invalid")
    _, _, words = message.partition(" is invalid: ")
    assert GO.sub("<Go>", words) == wrong


def test_a_value_is_shown_as_go_writes_it(shirts: Shirts) -> None:
    message = shirts.kube.refusal("POST", DEFINITIONS, shirts.manifest(version(storage=False)))[2]

    assert message.startswith(
        'CustomResourceDefinition.apiextensions.k8s.io "shirts.<namespace>.example.com" is invalid: '
        "[spec.versions: Invalid value: []apiextensions.CustomResourceDefinitionVersion{"
        'apiextensions.CustomResourceDefinitionVersion{Name:"v1", Served:true, Storage:false, '
        "Deprecated:false, DeprecationWarning:(*string)(nil), "
        "Schema:(*apiextensions.CustomResourceValidation)(nil), "
        "Subresources:(*apiextensions.CustomResourceSubresources)(nil), "
        "AdditionalPrinterColumns:[]apiextensions.CustomResourceColumnDefinition(nil)"
    )
    assert message.endswith(
        "}}: must have exactly one version marked as storage version, status.storedVersions: "
        "Invalid value: []string(nil): must have at least one stored version]"
    )


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"spec": {"scope": "Cluster"}}, 'spec.scope: Invalid value: "Cluster": field is immutable'),
        (
            {"spec": {"names": {"kind": "Top", "listKind": "TopList"}}},
            'spec.names.kind: Invalid value: "Top": field is immutable',
        ),
        (
            {"spec": {"versions": [version("v2")]}},
            'status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions',
        ),
    ],
)
def test_some_things_stay_as_they_are(served: Shirts, change: Object, wrong: str) -> None:
    message = served.kube.refusal("PATCH", served.definition, change, content_type=PATCHES["merge"])[2]

    assert message.partition(" is invalid: ")[2] == wrong
