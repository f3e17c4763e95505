"""The pages of ServiceAccount, Role, ClusterRole and their bindings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    rows = [row for rule in obj.get("rules") or [] for row in rule_rows(rule)]
    page.put("PolicyRule:")
    page.put("Resources\tNon-Resource URLs\tResource Names\tVerbs", 1)
    page.put("---------\t-----------------\t--------------\t-----", 1)
    for row in rows:
        page.put("\t".join(row), 1)


def rule_rows(rule: KubeObject) -> Iterator[tuple[str, str, str, str]]:
    """A PolicyRule cut into one row for each resource: resource, URLs, names, verbs."""
    names, verbs = go_list(rule.get("resourceNames")), go_list(rule.get("verbs"))
    for url in rule.get("nonResourceURLs") or []:
        yield "", go_list([url]), names, verbs
    for resource in rule.get("resources") or []:
        plural, _, subresource = resource.partition("/")
        for group in rule.get("apiGroups") or [""]:
            name = f"{plural}.{group}" if group else plural
            yield f"{name}/{subresource}" if subresource else name, "[]", names, verbs


def go_list(values: Sequence[str] | None) -> str:
    """A list as Go prints it."""
    return f"[{' '.join(values or [])}]"


def describe_binding(page: Page, obj: KubeObject) -> None:
    page.head(obj, namespace=False)
    page.put(f"Role:\n  Kind:\t{obj['roleRef']['kind']}\n  Name:\t{obj['roleRef']['name']}")
    rows = [[s["kind"], s["name"], s.get("namespace", "")] for s in obj.get("subjects") or []]
    page.table("Subjects:", ("Kind", "Name", "Namespace"), rows)
