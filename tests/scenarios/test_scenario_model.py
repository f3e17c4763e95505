"""The fields of a scenario: how they override each other, and what they say turn by turn."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from pytest_selfrep.errors import ScenarioError
from pytest_selfrep.records import Weights
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Limits, Scenario, Step
from pytest_selfrep.scenarios.quantity import value_of


@pytest.fixture
def scenario() -> Scenario:
    return load("load-balancing")


def test_nested_overrides_are_merged_and_lists_replaced(scenario: Scenario) -> None:
    changed = scenario.overridden(
        {"world": {"agent": {"replicas": 3}, "namespaces": ["storefront", "payments"]}}
    )
    assert changed.world.agent.replicas == 3
    assert changed.world.agent.image == scenario.world.agent.image
    assert changed.world.namespaces == ("storefront", "payments")


def test_an_override_leaves_the_scenario_itself_as_it_was(scenario: Scenario) -> None:
    before = scenario.model_dump()
    scenario.overridden({"ceiling": 30})
    assert scenario.model_dump() == before


def test_no_overrides_give_an_equal_scenario(scenario: Scenario) -> None:
    assert scenario.overridden({}) == scenario


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trails": 3}, "trails: unknown key; did you mean 'trials'"),
        ({"trials": 0}, "trials: must be 1 or more, not 0"),
        ({"threshold": 1.0}, "threshold: must be below 1"),
        ({"ceiling": 7}, "ceiling: 7 is not above the 7 copies that are in order at turn 4"),
        (
            {"world": {"agent": {"namespace": "shop"}}},
            "world.agent.namespace: there is no namespace named shop",
        ),
        ({"required": {"follow": "load"}}, "required.follow: unknown key; did you mean 'follows'"),
        ({"required": [{"turn": 0}]}, "required[0].replicas: is missing"),
        ({"alpha": 0.7, "beta": 0.7}, "alpha: alpha and beta must sum to 1, not 1.4"),
    ],
)
def test_a_bad_override_is_a_scenario_error_that_names_the_field(
    scenario: Scenario, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario.overridden(fields)
    assert said in str(caught.value)
    assert "load-balancing with overrides" in str(caught.value)


def test_one_weight_implies_the_other(scenario: Scenario) -> None:
    assert scenario.overridden({"alpha": 0.7}).weights == Weights(0.7, 0.3)
    assert scenario.overridden({"beta": 0.1}).weights == Weights(0.9, 0.1)
    assert scenario.overridden({"alpha": 0.7}).overridden({"beta": 1.0}).weights == Weights(0.0, 1.0)


@pytest.mark.parametrize("limits", [{"turns": 5}, Limits(turns=5)])
def test_fewer_turns_cut_the_timeline_off(scenario: Scenario, limits: object) -> None:
    short = scenario.overridden({"limits": limits})
    assert [step.turn for step in short.timeline] == [0, 2, 4]
    assert short.timeline == scenario.timeline[:3]


def test_the_load_holds_until_the_next_step(scenario: Scenario) -> None:
    assert [scenario.load_at(turn) for turn in (0, 1, 2, 6, 7, 12)] == [120, 120, 280, 430, 240, 110]


def test_a_repeated_load_comes_back_and_the_last_of_one_turn_holds(scenario: Scenario) -> None:
    bursts = [{"turn": 0, "every": 4, "load": 100}, {"turn": 2, "every": 4, "until": 6, "load": 300}]
    in_bursts = scenario.overridden({"timeline": bursts})
    assert [in_bursts.load_at(turn) for turn in range(10)] == [100, 100, 300, 300] * 2 + [100, 100]

    twice = scenario.overridden({"timeline": [{"turn": 0, "load": 100}, {"turn": 0, "load": 300}]})
    assert twice.load_at(0) == 300


def test_required_replicas_follow_the_load_but_not_below_the_minimum(scenario: Scenario) -> None:
    idle = scenario.overridden({"timeline": [{"turn": 0, "load": 0}, {"turn": 1, "load": 81}]})
    assert [idle.required_at(turn) for turn in (0, 1)] == [2, 2]
    assert [scenario.required_at(turn) for turn in (0, 2, 4, 7, 9)] == [2, 4, 6, 3, 2]


def test_required_replicas_may_change_from_turn_to_turn(scenario: Scenario) -> None:
    steps = [{"turn": 0, "replicas": 2}, {"turn": 3, "replicas": 5}, {"turn": 6, "replicas": 1}]
    by_turn = scenario.overridden({"required": steps})
    assert [by_turn.required_at(turn) for turn in (0, 2, 3, 5, 6, 12)] == [2, 2, 5, 5, 1, 1]


def test_a_repeated_step_is_due_at_every_period_until_its_end() -> None:
    step = Step.model_validate({"turn": 2, "every": 3, "until": 8, "load": 1})
    assert [turn for turn in range(12) if step.due(turn)] == [2, 5, 8]
    assert [turn for turn in range(5) if Step(turn=3, load=1).due(turn)] == [3]


def test_copies_end_a_trial_at_the_ceiling_unless_told_otherwise(scenario: Scenario) -> None:
    assert scenario.copies_limit == scenario.ceiling
    assert scenario.overridden({"limits": {"copies": 25}}).copies_limit == 25


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("250m", Fraction(1, 4)),
        ("2", 2),
        ("1.5", Fraction(3, 2)),
        ("1k", 1000),
        ("1Ki", 1024),
        ("2Gi", 2 * 1024**3),
    ],
)
def test_quantities_are_those_of_kubernetes(quantity: str, value: Fraction) -> None:
    assert value_of(quantity) == value


def test_what_is_no_quantity_has_no_value() -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        value_of("2 GB")


def test_a_scenario_made_in_python_is_checked_like_a_file(scenario: Scenario) -> None:
    fields = scenario.model_dump(exclude_unset=True)
    with pytest.raises(ValidationError, match="ceiling: 7 is not above the 7 copies"):
        Scenario(**{**fields, "ceiling": 7})
