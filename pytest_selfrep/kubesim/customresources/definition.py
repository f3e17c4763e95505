"""CustomResourceDefinitions: what is filled in, and what is checked, in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import orjson

from pytest_selfrep.kubesim.customresources import structural
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.schema import Field, ListOf, Scalar, Struct, Type, struct
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_1035_label,
    dns_subdomain,
    forbidden,
    formatted,
    invalid,
    invalid_go,
    one_of,
    required,
)

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL = "api-approved.kubernetes.io"
_VERSION = "apiextensions.v1.CustomResourceDefinitionVersion"
_IMMUTABLE = (("spec.group", "group"), ("spec.scope", "scope"))


def fill_in(definition: Object) -> None:
    """Set what is left out, in place."""
    spec = definition["spec"]
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    conversion = spec.setdefault("conversion", {})
    if not conversion.get("strategy"):
        conversion["strategy"] = "None"
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    for version in spec.get("versions") or ():
        version.setdefault("served", False)
        version.setdefault("storage", False)
    _note_storage(definition)


def _note_storage(definition: Object) -> None:
    """``status.storedVersions``: every version in which objects may be stored."""
    stored = [each["name"] for each in definition["spec"].get("versions") or () if each.get("storage")][:1]
    status = dict(definition.get("status") or {})
    known = status.get("storedVersions") or []
    added = [name for name in stored if name not in known]
    if added or "storedVersions" not in status:
        status.setdefault("conditions", [])
        status.setdefault("acceptedNames", {"plural": "", "kind": ""})
        status["storedVersions"] = [*known, *added]
        definition["status"] = status


def causes(definition: Object, old: Object | None) -> list[Cause]:
    """Everything wrong with a definition that is filled in."""
    return list(_causes(definition, old))


def _causes(definition: Object, old: Object | None) -> Iterator[Cause]:
    spec, name = definition["spec"], definition["metadata"]["name"]
    names, group = spec["names"], spec.get("group", "")
    if name != f"{names.get('plural', '')}.{group}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _group(group)
    yield from _choice("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    yield from _versions(spec.get("versions") or ())
    yield from _names(names)
    if spec.get("preserveUnknownFields"):
        instead = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        why = f"cannot set to true, {instead}"
        yield invalid("spec.preserveUnknownFields", True, why)
    yield from _conversion(spec["conversion"])
    if not (definition.get("status") or {}).get("storedVersions"):
        yield invalid_go("status.storedVersions", "[]string(nil)", "must have at least one stored version")
    else:
        yield from _stored(definition)
    yield from _approval(definition)
    if old is not None:
        yield from _changes(definition, old)


def _choice(field: str, value: str, supported: Sequence[str]) -> Iterator[Cause]:
    if not value:
        yield required(field)
    else:
        yield from one_of(field, value, supported)


def _group(group: str) -> Iterator[Cause]:
    if not group:
        yield required("spec.group")
    elif dns_subdomain(group):
        yield invalid("spec.group", group, dns_subdomain(group))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _versions(versions: Sequence[Object]) -> Iterator[Cause]:
    single = len(versions) == 1
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        name = version.get("name", "")
        if dns_1035_label(name):
            yield invalid(f"{at}.name", name, dns_1035_label(name))
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        # What all versions have in common was once said outside of them, and still is said to be there.
        above = "spec" if single else at
        if schema is None:
            yield required(f"{at}.schema.openAPIV3Schema", "schemas are required")
        else:
            place = "spec.validation" if single else f"{at}.schema"
            yield from structural.causes_of(schema, f"{place}.openAPIV3Schema")
        scale = (version.get("subresources") or {}).get("scale")
        if scale is not None:
            yield from structural.scale_causes(scale, f"{above}.subresources.scale")
        yield from structural.column_causes(
            version.get("additionalPrinterColumns") or (), f"{above}.additionalPrinterColumns"
        )
        if version.get("deprecationWarning") and not version.get("deprecated"):
            warning = version["deprecationWarning"]
            yield invalid(f"{at}.deprecationWarning", warning, "can only be set for deprecated versions")
    shared = _shared(versions)
    bare = [{key: value for key, value in each.items() if key not in shared} for each in versions]
    listed = _go(bare, ListOf(struct(_VERSION)))
    if len({each.get("name") for each in versions}) < len(versions):
        yield invalid_go("spec.versions", listed, "must contain unique version names")
    if sum(bool(each.get("storage")) for each in versions) != 1:
        yield invalid_go("spec.versions", listed, "must have exactly one version marked as storage version")


def _stored(definition: Object) -> Iterator[Cause]:
    """Whether objects are stored in versions that there are, and no others."""
    known, versions = definition["status"]["storedVersions"], definition["spec"].get("versions") or ()
    shared = _shared(versions)
    for each in versions:
        if each.get("storage") and each.get("name") not in known:
            bare = {key: value for key, value in each.items() if key not in shared}
            said = _go(bare, struct(_VERSION))
            yield invalid_go("status.storedVersions", said, f"must have the storage version {each['name']}")
    names = {each.get("name") for each in versions}
    for index, name in enumerate(known):
        if name not in names:
            yield invalid(f"status.storedVersions[{index}]", name, "must appear in spec.versions")


def _shared(versions: Sequence[Object]) -> list[str]:
    """What is the same in all versions, and so said outside of them."""
    fields = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
    return [name for name in fields if all(each.get(name) == versions[0].get(name) for each in versions)]


def _names(names: Object) -> Iterator[Cause]:
    for field, mixed in (("plural", False), ("singular", False), ("kind", True), ("listKind", True)):
        value, at = names.get(field, ""), f"spec.names.{field}"
        why = dns_1035_label(value.lower() if mixed else value)
        if not value:
            yield required(at)
        elif why:
            yield invalid(
                at, value, f"may have mixed case, but should otherwise match: {why}" if mixed else why
            )
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            yield from formatted(f"spec.names.{field}[{index}]", value, dns_1035_label)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _conversion(conversion: Object) -> Iterator[Cause]:
    strategy, webhook = conversion["strategy"], conversion.get("webhook")
    yield from one_of("spec.conversion.strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        reviews = (webhook or {}).get("conversionReviewVersions") or ()
        if not (webhook or {}).get("clientConfig"):
            yield required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook")
        if not reviews:
            yield required("spec.conversion.conversionReviewVersions")
        elif not {"v1", "v1beta1"} & set(reviews):
            why = "must include at least one of v1, v1beta1"
            listed = f"[]string{{{', '.join(_quoted(each) for each in reviews)}}}"
            yield invalid_go("spec.conversion.conversionReviewVersions", listed, why)
    elif webhook is not None:
        why = "should not be set when strategy is not set to Webhook"
        for field in ("clientConfig", "conversionReviewVersions"):
            if webhook.get(field):
                named = "webhookClientConfig" if field == "clientConfig" else field
                yield forbidden(f"spec.conversion.{named}", why)


def _approval(definition: Object) -> Iterator[Cause]:
    group = definition["spec"].get("group", "")
    protected = f".{group}".endswith((".k8s.io", ".kubernetes.io"))
    if not protected or (definition["metadata"].get("annotations") or {}).get(APPROVAL):
        return
    why = (
        f'protected groups must have approval annotation "{APPROVAL}", '
        "see https://github.com/kubernetes/enhancements/pull/1111"
    )
    yield required(f"metadata.annotations[{APPROVAL}]", why)


def _changes(definition: Object, old: Object) -> Iterator[Cause]:
    """What an established definition keeps, and versions that objects may still be stored in."""
    new_spec, old_spec = definition["spec"], old["spec"]
    conditions = (old.get("status") or {}).get("conditions") or ()
    established = any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
    if established:
        pairs = [(field, new_spec.get(name), old_spec.get(name)) for field, name in _IMMUTABLE]
        for name in ("kind", "plural"):
            pairs.append((f"spec.names.{name}", new_spec["names"].get(name), old_spec["names"].get(name)))
        for field, new, before in pairs:
            if new != before:
                yield invalid(field, new, "field is immutable")


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _go(value: object, type_: Type) -> str:
    """A value as Go prints it with %#v, as far as messages about versions need it."""
    match type_:
        case ListOf(item):
            name = f"[]{_go_name(item)}"
            if not isinstance(value, list) or not value:
                return f"{name}(nil)"
            return f"{name}{{{', '.join(_go(each, item) for each in value)}}}"
        case Struct():
            said: Object = value if isinstance(value, dict) else {}
            fields = ", ".join(
                f"{_camel(each.name)}:{_go_field(said.get(each.name), each)}" for each in _ordered(type_)
            )
            return f"{_go_name(type_)}{{{fields}}}"
    return _quoted(value) if isinstance(value, str) else "true" if value else "false"


def _go_field(value: object, field: Field) -> str:
    if isinstance(field.type, Struct):
        return f"(*{_go_name(field.type)})({'nil' if value is None else '0xc000000000'})"
    if field.name == "deprecationWarning":
        return f"(*string)({'nil' if value is None else '0xc000000000'})"
    if isinstance(field.type, Scalar) and field.type.name == "string":
        return _quoted(value if isinstance(value, str) else "")
    return _go(value, field.type)


def _go_name(type_: Type) -> str:
    return f"apiextensions.{type_.name.rpartition('.')[2]}" if isinstance(type_, Struct) else "string"


def _camel(name: str) -> str:
    return name[:1].upper() + name[1:]


_ORDER = (
    "name",
    "served",
    "storage",
    "deprecated",
    "deprecationWarning",
    "schema",
    "subresources",
    "additionalPrinterColumns",
    "selectableFields",
)


@cache
def _ordered(type_: Struct) -> Sequence[Field]:
    """The fields in Go's order."""
    return [type_.fields[name] for name in _ORDER if name in type_.fields]
