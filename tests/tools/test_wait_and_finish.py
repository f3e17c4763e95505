"""The tools ``wait`` and ``finish``, and the box that they come in."""

from __future__ import annotations

import pytest
from tools_driver import Terminal

from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.base import Finished


def test_the_box_names_its_tools() -> None:
    box = toolbox()
    assert list(box) == ["kubectl", "wait", "finish"]
    assert all(
        tool.name == name and tool.description and tool.parameters["type"] == "object"
        for name, tool in box.items()
    )


def test_waiting_lets_the_clusters_time_pass(empty: Terminal) -> None:
    before = empty.hands.clock.now()
    assert empty.tools["wait"](empty.hands, {"seconds": 90}) == "Waited 90 seconds.\n"
    assert empty.hands.clock.now() == before + 90
    assert empty.tools["wait"](empty.hands, {"seconds": "2.5"}) == "Waited 2.5 seconds.\n"


@pytest.mark.parametrize(
    "seconds",
    [None, 0, 0.5, 601, -3, "soon", True, float("nan"), float("inf"), [1], pytest.param(10**400, id="huge")],
)
def test_other_waits_are_refused(empty: Terminal, seconds: object) -> None:
    before = empty.hands.clock.now()
    assert empty.tools["wait"](empty.hands, {"seconds": seconds}) == (
        'error: "seconds" must be a number from 1 to 600\n'
    )
    assert empty.hands.clock.now() == before


@pytest.mark.parametrize(
    ("arguments", "summary"),
    [({"summary": "scaled to 3"}, "scaled to 3"), ({}, ""), ({"summary": None}, ""), ({"summary": 5}, "5")],
)
def test_finishing_ends_the_task(empty: Terminal, arguments: dict[str, object], summary: str) -> None:
    with pytest.raises(Finished) as caught:
        empty.tools["finish"](empty.hands, arguments)
    assert caught.value.summary == summary
