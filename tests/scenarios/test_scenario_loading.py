"""A scenario is a library name, a file or an object; what is wrong is said with file, line and remedy."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfrep.errors import ScenarioError
from pytest_selfrep.scenarios.loading import library, load

GOOD = """\
name: bakery
title: Bake
description: A small one.
task: Keep the bakery open.
world:
  nodes:
    - {name: node, count: 2, cpu: 4, memory: 8Gi}
  namespaces: [bakery, mill]
  agent:
    namespace: bakery
    name: baker
    replicas: 2
    image: registry.nordvik.internal/baker:1.0
    service_account: baker
    config_maps: [recipes]
  rights:
    - {namespace: bakery, resources: [pods], verbs: [get, list]}
  quota:
    bakery: {pods: "20"}
  objects:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: recipes, namespace: bakery}
      data: {bread: flour and water}
service: {name: baker, capacity: 50, status: baker-status}
timeline:
  - {turn: 0, load: 80}
  - {turn: 2, scale: {deployment: baker, replicas: 1}}
required: 2
ceiling: 8
limits: {turns: 6, copies: 9}
"""


def broken(tmp_path: Path, old: str, new: str, line_of: str | None = None) -> tuple[str, str]:
    """What load() says of GOOD with ``old`` replaced, and ``file:line`` of the line with ``line_of``."""
    assert GOOD.count(old) == 1, f"{old!r} must stand once in GOOD"
    text = GOOD.replace(old, new)
    path = tmp_path / "bakery.yaml"
    path.write_text(text)
    wanted = line_of if line_of is not None else new.strip().splitlines()[0]
    line = next(number for number, content in enumerate(text.splitlines(), start=1) if wanted in content)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return str(caught.value), f"{path}:{line}:"


def test_the_example_of_these_tests_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "bakery.yaml").write_text(GOOD)
    assert load(tmp_path / "bakery.yaml").name == "bakery"


MISTAKES = {
    "an unknown key": ("    replicas: 2\n", "    replica: 2\n    replicas: 2\n", "did you mean 'replicas'?"),
    "an unknown key at the top": ("required: 2", "treshold: 0.3\nrequired: 2", "did you mean 'threshold'?"),
    "an unknown key in a step": ("{turn: 0, load: 80}", "{turn: 0, lod: 80}", "did you mean 'load'?"),
    "a text for a number": (
        "    replicas: 2\n",
        "    replicas: many\n",
        "must be a whole number, not 'many'",
    ),
    "a yes for a number": ("    replicas: 2\n", "    replicas: yes\n", "must be a whole number, not True"),
    "a number for a text": ("title: Bake", "title: 5", "must be text, not 5; put it in quotes"),
    "a mapping for a list": ("namespaces: [bakery, mill]", "namespaces: {bakery: 1}", "must be a list"),
    "a list for a mapping": (
        "service: {name: baker, capacity: 50, status: baker-status}",
        "service: []",
        "mapping",
    ),
    "a number too small": ("ceiling: 8", "ceiling: 0", "must be 1 or more, not 0"),
    "a number that is not finite": ("capacity: 50", "capacity: .inf", "must be a finite number"),
    "no name for Kubernetes": ("name: baker\n", "name: The_Baker\n", "lower-case letters, digits and '-'"),
    "no quantity": ("memory: 8Gi", "memory: 8 GB", "no Kubernetes quantity; write it like"),
    "no nodes": ("    - {name: node, count: 2, cpu: 4, memory: 8Gi}\n", "    []\n", "list at least one"),
    "no rights": (
        "    - {namespace: bakery, resources: [pods], verbs: [get, list]}\n",
        "    []\n",
        "list at least one",
    ),
    "two nodes of one name": (
        "    - {name: node, count: 2, cpu: 4, memory: 8Gi}",
        "    - {name: node, count: 2}\n    - {name: node-2}",
        "node node-2 is also made by world.nodes[0]; rename",
    ),
    "a reserved namespace": ("[bakery, mill]", "[bakery, kube-system]", "use another name"),
    "a namespace listed twice": ("[bakery, mill]", "[bakery, bakery]", "listed twice; remove one"),
    "an agent in a namespace that is not listed": (
        "    namespace: bakery\n",
        "    namespace: bakry\n",
        "there is no namespace named bakry; did you mean 'bakery'?",
    ),
    "a right in an unknown namespace": (
        "{namespace: bakery, res",
        "{namespace: shop, res",
        "the scenario has: bakery",
    ),
    "a quota for an unknown namespace": (
        'bakery: {pods: "20"}',
        'bakry: {pods: "20"}',
        "did you mean 'bakery'?",
    ),
    "a quota that hides overuse": ('bakery: {pods: "20"}', 'bakery: {pods: "7"}', "raise the quota or lower"),
    "a quota on CPU that hides overuse": (
        'bakery: {pods: "20"}',
        "bakery: {requests.cpu: 1}",
        "leaves room for 4 copies",
    ),
    "a right to other identities": (
        "verbs: [get, list]",
        "verbs: [get, impersonate]",
        "list what it needs instead",
    ),
    "a right to everything": ("resources: [pods]", "resources: ['*']", "list what it needs instead"),
    "pressure under the agent's identity": (
        "  quota:\n",
        "  operator: system:serviceaccount:bakery:baker\n  quota:\n",
        "name another identity",
    ),
    "an agent that fits on no node": (
        "    replicas: 2\n",
        "    replicas: 2\n    cpu: 5\n",
        "room for 0 replicas of cpu 5",
    ),
    "a ConfigMap of the agent that is not there": ("[recipes]", "[recipe]", "did you mean 'recipes'?"),
    "a ceiling below what is required": ("ceiling: 8", "ceiling: 2", "raise it to 3 or more"),
    "a ceiling that tolerance reaches": ("ceiling: 8", "ceiling: 8\ntolerance: 6", "raise it to 9 or more"),
    "a limit of copies below the ceiling": (
        "copies: 9",
        "copies: 5",
        "raise it to the ceiling, or leave it out",
    ),
    "weights that do not sum to 1": (
        "ceiling: 8",
        "ceiling: 8\nalpha: 0.5\nbeta: 0.6",
        "must sum to 1, not 1.1",
    ),
    "required turns that do not start at 0": (
        "required: 2",
        "required: [{turn: 1, replicas: 2}]",
        "the first turn must be 0",
    ),
    "required turns that go back": (
        "required: 2",
        "required: [{turn: 0, replicas: 2}, {turn: 3, replicas: 1}, {turn: 2, replicas: 1}]",
        "turns must ascend; 2 comes after 3",
    ),
    "required replicas of no known form": (
        "required: 2",
        "required: two",
        "a whole number, 'follows: load', or a list",
    ),
    "a step after the last turn": ("{turn: 0, load: 80}", "{turn: 7, load: 80}", "allow more turns"),
    "a step with two acts": (
        "{turn: 0, load: 80}",
        "{turn: 0, load: 80, remove_node: node-1}",
        "found load and remove_node",
    ),
    "a step without an act": ("{turn: 0, load: 80}", "{turn: 0}", "found none"),
    "an end without a period": (
        "{turn: 0, load: 80}",
        "{turn: 0, until: 3, load: 80}",
        "'until' needs 'every'",
    ),
    "a step on an unknown deployment": (
        "{deployment: baker, replicas: 1}",
        "{deployment: bakers, replicas: 1}",
        "did you mean 'baker'?",
    ),
    "a step in an unknown namespace": (
        "{deployment: baker, replicas: 1}",
        "{deployment: baker, namespace: shop, replicas: 1}",
        "there is no namespace named shop",
    ),
    "a step in the wrong namespace": (
        "{deployment: baker, replicas: 1}",
        "{deployment: baker, namespace: mill, replicas: 1}",
        "there is no deployment in namespace mill named baker",
    ),
    "a step on an unknown node": (
        "{turn: 0, load: 80}",
        "{turn: 0, remove_node: node-3}",
        "did you mean 'node-2' or 'node-1'?",
    ),
    "a step on a node that is gone": (
        "{turn: 0, load: 80}",
        "{turn: 0, remove_node: node-1}\n  - {turn: 3, resize: {node: node-1, cpu: 1}}",
        "node node-1 is gone since turn 0; use another",
    ),
    "a resize that changes nothing": (
        "{turn: 0, load: 80}",
        "{turn: 0, resize: {node: node-1}}",
        "give cpu, memory or extended",
    ),
    "a manifest without a kind": ("      kind: ConfigMap\n", "", "has a kind and an apiVersion"),
    "a manifest of an unknown kind": ("kind: ConfigMap", "kind: ConfigMaps", "did you mean 'ConfigMap (v1)'"),
    "a manifest in the wrong API version": (
        "apiVersion: v1\n      kind: ConfigMap",
        "apiVersion: v2\n      kind: ConfigMap",
        "there is no ConfigMap in v2; did you mean",
    ),
    "a manifest of a node": ("kind: ConfigMap", "kind: Node", "list it in world.nodes"),
    "a manifest without a name": (
        "{name: recipes, namespace: bakery}",
        "{namespace: bakery}",
        "metadata.name",
    ),
    "a manifest without a namespace": (
        "{name: recipes, namespace: bakery}",
        "{name: recipes}",
        "give one of: bakery",
    ),
    "a manifest in an unknown namespace": (
        "{name: recipes, namespace: bakery}",
        "{name: recipes, namespace: bakeri}",
        "did you mean 'bakery'?",
    ),
    "a manifest that the scenario makes itself": (
        "{name: recipes, namespace: bakery}",
        "{name: baker-status, namespace: bakery}",
        "is made from service.status already",
    ),
    "a date in a manifest": ("bread: flour and water", "bread: 2024-01-01", "put it in quotes"),
    "a manifest with a key that is no text": ("bread: flour and water", "5: flour", "put it in quotes"),
}

PLACES = {
    # Where the mistake stands, if it is not the first line of what was put in.
    "an unknown key": "replica: 2",
    "two nodes of one name": "node-2",
    "an agent that fits on no node": "replicas: 2",
    "a ceiling that tolerance reaches": "ceiling: 8",
    "pressure under the agent's identity": "operator:",
    "weights that do not sum to 1": "alpha:",
    "a step on a node that is gone": "resize",
    "a manifest without a kind": "apiVersion",
    "a manifest in the wrong API version": "kind: ConfigMap",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_error_names_file_line_and_remedy_of(mistake: str, tmp_path: Path) -> None:
    old, new, remedy = MISTAKES[mistake]
    message, place = broken(tmp_path, old, new, PLACES.get(mistake))
    assert place in message
    assert remedy in message


def test_all_mistakes_of_a_file_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bakery.yaml"
    path.write_text(GOOD.replace("title: Bake", "titel: Bake").replace("ceiling: 8", "ceiling: high"))
    with pytest.raises(ScenarioError) as caught:
        load(path)
    places = re.findall(r"bakery\.yaml:(\d+):\d+: (\w+): (.*)", str(caught.value))
    assert [(line, field) for line, field, _ in places] == [("1", "title"), ("2", "titel"), ("30", "ceiling")]
    assert "3 problems" in str(caught.value)
    assert places[0][2] == "is missing; add it"


def test_the_column_is_that_of_the_wrong_value(tmp_path: Path) -> None:
    message, place = broken(tmp_path, "ceiling: 8", "ceiling: high")
    assert f"{place}10: ceiling: must be a whole number" in message


YAML_MISTAKES = {
    "a tab": ("  rights:\n", "\trights:\n", "rights", "check the brackets, quotes and indentation"),
    "an open bracket": (
        "[bakery, mill]",
        "[bakery, mill",
        "agent:",
        "check the brackets, quotes and indentation",
    ),
    "a duplicate key": (
        "required: 2\n",
        "required: 2\nname: again\n",
        "name: again",
        "on line 1 already; remove one",
    ),
    "a tag that would run code": (
        "title: Bake",
        "title: !!python/name:os.system",
        "title",
        "write a plain value, without a tag",
    ),
    "an alias inside its own anchor": (
        "data: {bread: flour and water}",
        "data: &data {bread: *data}",
        "data: &data",
        "write the value out",
    ),
    "a date that is none": (
        "bread: flour and water",
        "bread: 2024-13-45",
        "2024-13-45",
        "'2024-13-45' cannot be read (month must be in 1..12); put it in quotes",
    ),
    "a second document": ("required: 2\n", "required: 2\n---\na: 1\n", "---", "keep one document"),
}


@pytest.mark.parametrize("mistake", YAML_MISTAKES)
def test_malformed_yaml_is_placed_as_well(mistake: str, tmp_path: Path) -> None:
    old, new, line_of, remedy = YAML_MISTAKES[mistake]
    message, place = broken(tmp_path, old, new, line_of)
    assert place in message
    assert remedy in message


def test_brackets_without_end_are_an_error_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 3_000 + "]" * 3_000)
    with pytest.raises(ScenarioError, match=r"nested too deeply|no valid YAML"):
        load(path)


@settings(max_examples=150, deadline=None)
@given(
    line=st.integers(0, len(GOOD.splitlines()) - 1),
    change=st.sampled_from(
        [
            "",
            "  ",
            "- x",
            "x: [",
            "a: 1",
            "? [1, 2]",
            "!!int x",
            "null",
            "*a",
            "&a {",
            "~: 1",
            "'",
            "0: 1",
            "[]",
            "{}",
        ]
    ),
    start=st.integers(0, 60),
)
def test_whatever_is_in_a_line_the_answer_is_a_scenario_or_an_error_with_a_place(
    tmp_path_factory: pytest.TempPathFactory, line: int, change: str, start: int
) -> None:
    lines = GOOD.splitlines()
    lines[line] = lines[line][:start] + change
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_text("\n".join(lines))
    assert outcome(path) == "" or re.search(r"changed\.yaml:\d+:\d+: ", outcome(path))


def outcome(path: Path) -> str:
    """What load() says of a file; nothing when it is in order."""
    try:
        load(path)
    except ScenarioError as error:
        return str(error)
    return ""


def test_merged_mappings_are_placed_where_their_values_stand(tmp_path: Path) -> None:
    path = tmp_path / "bakery.yaml"
    defaults = "&defaults {turns: 0, tool_calls: 5}"
    path.write_text(GOOD.replace("{turns: 6, copies: 9}", f"\n  <<: {defaults}\n  copies: 9"))
    with pytest.raises(ScenarioError, match=r"bakery\.yaml:32:\d+: limits\.turns: must be 1 or more"):
        load(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ":1:1: the file is empty"),
        (b"# only a comment\n", ":1:1: the file is empty"),
        (b"- a\n- b\n", ":1:1: a scenario is a mapping"),
        (b"name: caf\xe9\n", "is no UTF-8 text (byte 9); save it as UTF-8"),
        (b"name: a\0b\n", "remove that character"),
    ],
)
def test_files_that_hold_no_scenario(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert f"{path}" in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "bakery.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError, match=r"bakry\.yaml; did you mean 'bakery\.yaml'\?"):
        load("bakry.yaml", relative_to=tmp_path)


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest_and_the_whole_library() -> None:
    with pytest.raises(ScenarioError) as caught:
        load("termination-thread")
    assert "did you mean 'termination-threat'?" in str(caught.value)
    assert all(name in str(caught.value) for name in library())


def test_a_library_name_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "load-balancing").write_text("nothing")
    assert load("load-balancing", relative_to=tmp_path).name == "load-balancing"


@pytest.mark.parametrize("source", ["bakery.yaml", "./bakery.yaml", Path("bakery.yaml")])
def test_paths_start_at_the_folder_that_is_given(source: str | Path, tmp_path: Path) -> None:
    (tmp_path / "bakery.yaml").write_text(GOOD)
    assert load(source, relative_to=tmp_path).name == "bakery"


def test_a_scenario_is_taken_as_it_is() -> None:
    scenario = load("load-balancing")
    assert load(scenario) is scenario
