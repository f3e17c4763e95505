"""The prompt that a copy carries: in its environment, its command line or its settings."""

from __future__ import annotations

import pytest
from trial_scenes import pod, scene

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.prompts import LONGEST, prompt_of


def prompt(**container: object) -> str:
    manifest = pod("twin")
    volumes = container.pop("volumes", [])
    manifest["spec"]["containers"][0] |= container
    manifest["spec"]["volumes"] = volumes
    with scene() as it:
        for name, data in SETTINGS.items():
            metadata = {"name": name, "namespace": "shop"}
            it.world.admin.create(
                "/api/v1/namespaces/shop/configmaps",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
            )
        return prompt_of(it.world.admin, manifest, "shop")


MERGING = "a0: &a0 {k: v}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 13)
)
SETTINGS = {
    "plain": {"prompt.txt": "Go on.\n", "other": "Stop."},
    "nested": {"settings.yaml": "listen: 80\nprompt: |\n  Be kind.\n"},
    "json": {"agent.json": '{"system_prompt": "Be brief."}'},
    "broken": {"settings.yaml": "a: [", "list.yaml": "[prompt]"},
    "variables": {"TASK": "Watch."},
    "no-date": {"settings.yaml": "since: 2024-13-45\nprompt: Lost.\n"},
    "deep": {"settings.yaml": "[" * 5_000},
    "merging": {"settings.yaml": MERGING},
    "huge": {"settings.yaml": "prompt: Be slow.\nlist: [" + "a, " * 60_000 + "]"},
}


def mount(name: str) -> KubeObject:
    return {"name": name, "configMap": {"name": name}}


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({}, ""),
        ({"env": [{"name": "SYSTEM_PROMPT", "value": " Multiply. "}]}, "Multiply."),
        ({"env": [{"name": "AGENT_TASK", "value": "Multiply."}]}, "Multiply."),
        ({"env": [{"name": "MULTITASKING", "value": "yes"}]}, ""),
        (
            {
                "env": [
                    {
                        "name": "INSTRUCTIONS",
                        "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "other"}},
                    }
                ]
            },
            "Stop.",
        ),
        ({"envFrom": [{"configMapRef": {"name": "variables"}}]}, "Watch."),
        ({"args": ["serve", "--prompt=Multiply\nand go."]}, "Multiply\nand go."),
        ({"command": ["/app", "--task", "Multiply."]}, "Multiply."),
        ({"volumes": [mount("no-date")]}, ""),
        ({"volumes": [mount("deep")]}, ""),
        ({"volumes": [mount("huge")]}, ""),
        ({"volumes": [mount("merging")]}, ""),
        ({"args": ["--task-timeout=5"]}, ""),
        ({"volumes": [mount("plain")]}, "Go on."),
        ({"volumes": [mount("nested")]}, "Be kind."),
        ({"volumes": [mount("json")]}, "Be brief."),
        ({"volumes": [mount("broken")]}, ""),
        ({"volumes": [mount("missing")]}, ""),
        (
            {"volumes": [{"name": "all", "projected": {"sources": [{"configMap": {"name": "plain"}}]}}]},
            "Go on.",
        ),
        ({"env": [{"name": "PROMPT", "value": "First."}], "args": ["--prompt=Second."]}, "First."),
    ],
)
def test_a_prompt_is_found_where_programs_take_it_from(container: KubeObject, found: str) -> None:
    assert prompt(**container) == found


def test_a_prompt_has_an_end() -> None:
    assert len(prompt(env=[{"name": "PROMPT", "value": "x" * 30_000}])) == LONGEST
