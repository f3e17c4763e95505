"""Laws of server-side apply, whatever is applied."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfrep.kubesim.apply import fieldsets
from pytest_selfrep.kubesim.apply.comparison import compare
from pytest_selfrep.kubesim.apply.history import part_of
from pytest_selfrep.kubesim.apply.managers import Claim, Managed, Manager, Write, applied, updated
from pytest_selfrep.kubesim.apply.typed import claimed, mistakes
from pytest_selfrep.kubesim.kinds import DEPLOYMENT
from pytest_selfrep.kubesim.objects import Object, cleaned

PART = part_of(DEPLOYMENT)
texts = st.sampled_from(["x", "y"])
maps = st.dictionaries(st.sampled_from("abc"), texts, max_size=3)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=fields)


def keyed(key: str, names: st.SearchStrategy[Any], **fields: st.SearchStrategy[Any]) -> Any:
    items = st.fixed_dictionaries({key: names}, optional=fields)
    return st.lists(items, max_size=3, unique_by=lambda item: item[key])


environments = keyed("name", st.sampled_from("AB"), value=texts)
ports = keyed("containerPort", st.sampled_from([80, 81]), name=texts)
containers = keyed(
    "name",
    st.sampled_from(["web", "side", "log"]),
    image=texts,
    args=st.lists(texts, max_size=2),
    env=environments,
    ports=ports,
)
configurations = some(
    metadata=some(
        labels=maps,
        annotations=maps,
        finalizers=st.lists(st.sampled_from(["a/1", "a/2"]), unique=True, max_size=2),
    ),
    spec=some(
        replicas=st.integers(0, 2),
        paused=st.booleans(),
        selector=some(matchLabels=maps),
        template=some(metadata=some(labels=maps), spec=some(containers=containers, nodeSelector=maps)),
    ),
)
sets = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(
        st.sampled_from([".", "f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']), below, min_size=1, max_size=3
    ),
    max_leaves=8,
).map(lambda tree: fieldsets.of_paths(fieldsets.paths({"f:root": tree})))


def write(manager: str, operation: Any = "Apply") -> Write:
    version = "" if operation == "Apply" else "apps/v1"
    return Write(Manager(manager, operation, version), "apps/v1", "2025-05-06T08:00:00Z", {"f:status": {}})


def applying(
    live: Object, managed: Managed, configuration: Object, by: str = "one"
) -> tuple[Object, Managed]:
    merged, after = applied(PART, managed, write(by), live, configuration, force=True)
    return cleaned(merged) or {}, after


def claims(configuration: Object) -> fieldsets.FieldSet:
    """What can be owned of a configuration: that there are metadata cannot."""
    fields = claimed(PART, configuration)
    return {element: below for element, below in fields.items() if below or element != "f:metadata"}


@given(configurations, configurations)
def test_apply_is_idempotent(before: Object, configuration: Object) -> None:
    live, managed = applying(*applying({}, {}, before, "other"), configuration)
    assert applying(live, managed, configuration) == (live, managed)


@given(configurations, configurations)
def test_after_an_apply_all_of_it_is_there_and_owned_by_the_applier(
    before: Object, configuration: Object
) -> None:
    live, managed = applying(*applying({}, {}, before, "other"), configuration)
    owner = managed.get(write("one").manager, Claim({}, "", ""))
    assert owner.fields == claims(configuration)
    assert not compare(PART, configuration, live).removed or configuration == {}


@given(configurations)
def test_what_one_manager_alone_applied_goes_when_it_applies_nothing(configuration: Object) -> None:
    live, managed = applying(*applying({}, {}, configuration), {})
    assert not managed
    assert not claims(live)


@given(configurations, maps, maps)
def test_managers_of_different_fields_may_come_in_any_order(
    configuration: Object, labels: dict[str, str], node: dict[str, str]
) -> None:
    one = {"metadata": {"labels": labels}}
    two = {"spec": {"template": {"spec": {"nodeSelector": node}}}}
    base = applying({}, {}, configuration, "base")
    there = applying(*applying(*base, one, "one"), two, "two")
    back = applying(*applying(*base, two, "two"), one, "one")
    assert there == back


@given(configurations, configurations)
def test_an_update_leaves_its_author_with_what_it_changed(old: Object, new: Object) -> None:
    live, managed = applying({}, {}, old, "other")
    after = updated(PART, managed, write("hand", "Update"), live, new)
    changes = compare(PART, live, new)
    owner = after.get(write("hand", "Update").manager, Claim({}, "", ""))
    ignored = fieldsets.of_paths([("f:metadata",)])
    assert fieldsets.difference(owner.fields, changes.changed) == {}
    for manager, claim in after.items():
        if manager.name == "other":
            assert fieldsets.intersection(claim.fields, changes.changed) == {}
            assert fieldsets.difference(fieldsets.intersection(claim.fields, changes.removed), ignored) == {}


@given(sets, sets)
@settings(max_examples=200)
def test_sets_of_fields_are_sets(one: Any, other: Any) -> None:
    def members(fields: Any) -> set[Any]:
        return set(fieldsets.paths(fields))

    assert members(fieldsets.union(one, other)) == members(one) | members(other)
    assert members(fieldsets.difference(one, other)) == members(one) - members(other)
    assert members(fieldsets.intersection(one, other)) == members(one) & members(other)
    assert fieldsets.of_paths(fieldsets.paths(one)) == one
    assert all(fieldsets.contains(one, path) for path in members(one))


@given(configurations)
def test_fields_of_a_configuration_survive_the_wire(configuration: Object) -> None:
    fields = claimed(PART, configuration)
    assert mistakes(PART, configuration) == []
    assert fieldsets.parse(fieldsets.in_order(fields)) == fields
