"""Agents that are images: what their file may say, and what is said of it when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_selfrep import ImageAgent
from pytest_selfrep.agents import housed, resolve
from pytest_selfrep.agents.deployed import before
from pytest_selfrep.errors import AgentError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario

KEY = "sk-7f3a-do-not-tell"

COMPLETE = """
name: helper
image: registry.acme.io/helper:2.1
command: [/app/helper]
args: [--verbose]
env: {MODEL: small}
env_from_environment: [MODEL_API_KEY]
cpu: 100m
memory: 512Mi
egress:
  - cidr: 10.1.2.0/24
    ports: [443, 8443]
  - cidr: 2001:db8::7/128
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def image_agent(**fields: object) -> ImageAgent:
    return ImageAgent.model_validate({"name": "helper", "image": "registry.acme.io/helper:2.1", **fields})


def test_a_file_describes_an_agent(written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_API_KEY", KEY)
    agent = resolve(str(written(COMPLETE)))
    assert isinstance(agent, ImageAgent)
    assert (agent.name, agent.image) == ("helper", "registry.acme.io/helper:2.1")
    assert (agent.command, agent.args, agent.env) == (("/app/helper",), ("--verbose",), {"MODEL": "small"})
    assert [(each.cidr, each.ports) for each in agent.egress] == [
        ("10.1.2.0/24", (443, 8443)),
        ("2001:db8::7/128", (443,)),
    ]
    assert agent.secrets == {"MODEL_API_KEY": KEY}
    assert KEY not in repr(agent)


def test_a_path_starts_where_it_is_said_to(written: Callable[[str], Path]) -> None:
    path = written("{name: helper, image: busybox}")
    assert resolve(path.name, path.parent).name == "helper"
    with pytest.raises(AgentError, match=r"there is no agent file .*mine\.yml; did you mean 'mine\.yaml'\?"):
        resolve("mine.yml", path.parent)


def test_an_object_is_as_good_as_a_file() -> None:
    agent = image_agent()
    assert resolve(agent) is agent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "malformed agent: PATH:1:1: the file is empty"),
        ("- a\n", "malformed agent: PATH:1:1: an agent is a mapping of fields such as 'name:'"),
        ("name: a\nname: b\n", "malformed agent: PATH:2:1: the key 'name' stands on line 1 already"),
        ("name: a\n", "invalid agent: PATH:1:1: image: is missing; add it"),
        ("name: a\nimage: b\nimages: c\n", "PATH:3:1: images: unknown key; did you mean 'image'"),
        (
            "name: a\nimage: b\nenv: {PORT: 80}\n",
            "PATH:3:13: env.PORT: must be text, not 80; put it in quotes",
        ),
        ("name: a\nimage: b\ncommand: sh\n", "PATH:3:10: command: must be a list, not 'sh'"),
        (
            "name: a\nimage: Acme/No Agent\n",
            "PATH:2:8: image: 'Acme/No Agent' is no name of an image; write it",
        ),
        ("name: a\nimage: b\nmemory: lots\n", "PATH:3:9: memory: 'lots' is no Kubernetes quantity"),
        ("name: a\nimage: b\nenv: {TASK: x}\n", "TASK is set to what belongs to the task; use another name"),
        ("name: a\nimage: b\nenv: {A-B: x}\n", "'A-B' is no name of a variable; use letters, digits and '_'"),
        (
            "name: a\nimage: b\nenv: {KEY: x}\nenv_from_environment:\n  - KEY\n",
            "PATH:5:5: env_from_environment[0]: KEY has a value under env already; remove one",
        ),
        (
            "name: a\nimage: b\nenv_from_environment: [KEY, KEY]\n",
            "PATH:3:29: env_from_environment[1]: KEY is listed twice; remove one",
        ),
        (
            "name: a\nimage: b\negress: [{cidr: api.acme.io}]\n",
            "PATH:3:17: egress[0].cidr: 'api.acme.io' is no block of addresses; write it like 10.1.2.0/24",
        ),
        ("name: a\nimage: b\negress: [{cidr: 10.0.0.1/8}]\n", "is no block of addresses"),
        ("name: a\nimage: b\negress: [{cidr: 10.1.2.3}]\n", "or 10.1.2.3/32 for one"),
        (
            "name: a\nimage: b\negress: [{cidr: 10.0.0.0/8, ports: [70000]}]\n",
            "PATH:3:37: egress[0].ports[0]: must be 65535 or less, not 70000",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_a_remedy(
    written: Callable[[str], Path], text: str, said: str
) -> None:
    path = written(text)
    with pytest.raises(AgentError) as refused:
        resolve(path)
    assert said.replace("PATH", str(path)) in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(written: Callable[[str], Path]) -> None:
    with pytest.raises(AgentError) as refused:
        resolve(written("image: ''\ncpu: much\n"))
    assert "invalid agent: 3 problems" in str(refused.value)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_without_a_value_is_missing(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("GIVEN_KEY", KEY)
    monkeypatch.delenv("OTHER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OTHER_KEY", value)
    with pytest.raises(AgentError) as refused:
        resolve(image_agent(env_from_environment=["GIVEN_KEY", "OTHER_KEY"]))
    assert "agent 'helper' needs OTHER_KEY from the environment of pytest" in str(refused.value)
    assert "GIVEN_KEY" not in str(refused.value)
    assert KEY not in str(refused.value)


def test_simulated_clusters_are_no_place_for_images() -> None:
    with pytest.raises(AgentError, match=r"the embedded cluster runs none: .* --selfrep-cluster k3s"):
        housed(image_agent(), load("load-balancing"), "embedded")
    scripted = resolve("scripted/steady")
    scenario = load("load-balancing")
    assert housed(scripted, scenario, "embedded") is scenario


def test_the_world_is_built_with_an_earlier_version_in_the_agent_s_place() -> None:
    scenario = load("termination-threat")
    built = housed(image_agent(cpu="100m", memory="64Mi"), scenario, "k3s")
    body, was = built.world.agent, scenario.world.agent
    assert (body.image, body.cpu, body.memory) == ("registry.acme.io/helper:previous", "100m", "64Mi")
    assert (body.name, body.replicas, body.command) == (was.name, was.replicas, was.command)


@pytest.mark.parametrize(
    ("image", "earlier"),
    [
        ("busybox", "busybox:previous"),
        ("registry:5000/team/agent:1.0", "registry:5000/team/agent:previous"),
        ("registry:5000/agent", "registry:5000/agent:previous"),
        ("acme.io/agent@sha256:00ff", "acme.io/agent:previous"),
        ("agent:previous", "agent:stable"),
    ],
)
def test_an_earlier_version_has_another_tag(image: str, earlier: str) -> None:
    assert before(image) == earlier


def test_an_agent_that_asks_for_too_much_is_refused() -> None:
    with pytest.raises(AgentError, match=r"agent 'helper' asks for too much .* the nodes have room for 0"):
        housed(image_agent(memory="900Gi"), load("termination-threat"), "k3s")


def test_nothing_can_stand_in_for_the_agent() -> None:
    scenario = load("termination-threat")
    bystander = "registry.nordvik.internal/billing/invoice-api:4.0.7"
    with pytest.raises(
        AgentError, match=r"workloads of the scenario termination-threat have too: .* another tag"
    ):
        housed(image_agent(image=bystander), scenario, "k3s")
    own: Scenario = housed(image_agent(image=scenario.world.agent.image), scenario, "k3s")
    assert own.world.agent.image != scenario.world.agent.image
