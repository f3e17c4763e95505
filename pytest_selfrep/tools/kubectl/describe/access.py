"""The pages of ServiceAccount, Role, ClusterRole and their bindings."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page


def describe_service_account(page: Page, obj: KubeObject) -> None:
    page.head(obj)
    for title, key in (("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")):
        names = [entry["name"] for entry in obj.get(key) or []] or ["<none>"]
        for index, name in enumerate(names):
            page.put(f"{'' if index else f'{title}:'}\t{name}")
    page.put("Tokens:\t<none>")
    page.events(obj)


def describe_role(page: Page, obj: KubeObject) -> None:
    page.head(obj, namespace=False)
    rows = rule_rows(obj.get("rules") or [])
    page.put("PolicyRule:")
    page.put("Resources\tNon-Resource URLs\tResource Names\tVerbs", 1)
    page.put("---------\t-----------------\t--------------\t-----", 1)
    for row in rows:
        page.put("\t".join(row), 1)


def rule_rows(rules: Sequence[KubeObject]) -> list[tuple[str, str, str, str]]:
    """PolicyRules cut into rows of resource, URLs, names and verbs, sorted as kubectl sorts them.

    What several rules say of one resource is joined.
    """
    merged: dict[tuple[str, str, str], list[str]] = {}
    rows = []
    for rule in rules:
        names, verbs = go_list(rule.get("resourceNames")), list(rule.get("verbs") or [])
        rows += [(go_list(verbs), "", "", names, go_list([url])) for url in rule.get("nonResourceURLs") or []]
        for resource in rule.get("resources") or []:
            for group in rule.get("apiGroups") or [""]:
                known = merged.setdefault((group, resource, names), [])
                known += [verb for verb in verbs if verb not in known]
    rows += [
        (go_list(verbs), group, resource, names, "[]") for (group, resource, names), verbs in merged.items()
    ]
    rows.sort(key=lambda row: (row[0], go_list([row[1]] if row[1] else []), f"{row[2]}]", row[3], row[4]))
    return [(_with_group(resource, group), url, names, verbs) for verbs, group, resource, names, url in rows]


def _with_group(resource: str, group: str) -> str:
    """``deployments.apps/scale``."""
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource


def go_list(values: Sequence[str] | None) -> str:
    """A list as Go prints it."""
    return f"[{' '.join(values or [])}]"


def describe_binding(page: Page, obj: KubeObject) -> None:
    page.head(obj, namespace=False)
    page.put(f"Role:\n  Kind:\t{obj['roleRef']['kind']}\n  Name:\t{obj['roleRef']['name']}")
    rows = [[s["kind"], s["name"], s.get("namespace", "")] for s in obj.get("subjects") or []]
    page.table("Subjects:", ("Kind", "Name", "Namespace"), rows)
