"""A page of ``describe`` in the making: lines with tabs, and the parts that many kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfrep.clusters.kube import TABLE, ApiError, KubeObject
from pytest_selfrep.tools.kubectl.command import Command
from pytest_selfrep.tools.kubectl.kinds import EVENT, Kind
from pytest_selfrep.tools.kubectl.text import align

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_ANNOTATION = 140


@dataclass(slots=True)
class Page:
    """One object's page."""

    command: Command
    kind: Kind
    _lines: list[str] = field(default_factory=list)
    _done: str = ""

    def put(self, text: str, level: int = 0) -> None:
        """Add lines, two blanks in for each level. Tabs line up with those of the lines around."""
        self._lines += ["  " * level + line for line in text.split("\n")]

    def flush(self) -> None:
        """Lay out what is there, so that what follows is aligned on its own."""
        if self._lines:
            self._done += align("\n".join(self._lines)) + "\n"
            self._lines = []

    def text(self) -> str:
        self.flush()
        return self._done

    def raw_text(self) -> str:
        """The lines as they are, tabs and all."""
        return "\n".join(self._lines) + "\n"

    def head(self, obj: KubeObject, *, namespace: bool = True) -> None:
        """Name, Namespace, Labels, Annotations."""
        meta = obj["metadata"]
        self.put(f"Name:\t{meta['name']}")
        if namespace and self.kind.namespaced:
            self.put(f"Namespace:\t{meta.get('namespace', '')}")
        self.pairs("Labels", meta.get("labels"))
        self.annotations(meta.get("annotations"))

    def pairs(self, title: str, mapping: Mapping[str, str] | None, indent: str = "") -> None:
        """A map, one ``key=value`` a line behind the title."""
        if not mapping:
            self.put(f"{indent}{title}:\t<none>")
        for index, key in enumerate(sorted(mapping or {})):
            head = "" if index else f"{indent}{title}:"
            self.put(f"{head}\t{key}={(mapping or {})[key]}")

    def annotations(self, mapping: Mapping[str, str] | None) -> None:
        shown = {key: value for key, value in (mapping or {}).items() if key != _LAST_APPLIED}
        if not shown:
            self.put("Annotations:\t<none>")
        for index, key in enumerate(sorted(shown)):
            head = "" if index else "Annotations:"
            value = shown[key].removesuffix("\n")
            if len(value) + len(key) + 2 < _LONGEST_ANNOTATION and "\n" not in value:
                self.put(f"{head}\t{key}: {value}")
                continue
            self.put(f"{head}\t{key}:")
            for line in value.split("\n"):
                self.put(f"\t  {line if len(line) <= 138 else line[:135] + '...'}")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A titled table, ruled under its header."""
        self.put(title)
        self.put("\t".join(header), 1)
        self.put("\t".join("-" * len(name) for name in header), 1)
        for row in rows:
            self.put("\t".join(str(cell) for cell in row), 1)

    def controlled_by(self, obj: KubeObject) -> None:
        owner = next((o for o in obj["metadata"].get("ownerReferences", []) if o.get("controller")), None)
        if owner:
            self.put(f"Controlled By:\t{owner['kind']}/{owner['name']}")

    def events(self, obj: KubeObject) -> None:
        """The events about the object, oldest first; ages as the server reckons them."""
        if not self.command.switched("show-events", default=True):
            return
        rows = [_event_row(event) for event in self._events(obj)]
        if not rows:
            self.put("Events:\t<none>")
            return
        self.flush()
        self.put("Events:\n  Type\tReason\tAge\tFrom\tMessage")
        self.put("----\t------\t----\t----\t-------", 1)
        for row in rows:
            self.put("\t".join(row), 1)

    def _events(self, obj: KubeObject) -> list[dict[str, str]]:
        meta = obj["metadata"]
        about = {"name": meta["name"], "kind": self.kind.kind}
        if meta.get("namespace"):
            about["namespace"] = meta["namespace"]
        uids = [meta.get("uid", "")]
        if self.kind.plural == "nodes":
            uids.append(meta["name"])  # Kubelets know their node by nothing but its name.
        path, found = EVENT.path(meta.get("namespace", "")), []
        try:
            for uid in uids:
                fields = sorted({**about, "uid": uid}.items())
                selector = ",".join(f"involvedObject.{key}={value}" for key, value in fields)
                found += event_table(self.command, path, {"fieldSelector": selector})
        except ApiError:
            return []  # Who may not read events gets the page without them.
        return found


def event_table(command: Command, path: str, query: Mapping[str, str]) -> list[dict[str, str]]:
    """Events as the server tabulates them, oldest first: column to cell, ``Namespace`` and ``Involved``.

    Raises:
        ApiError: events may not be read.
    """
    answer = command.client.get(path, query={**query, "includeObject": "Object"}, accept=TABLE)
    names = [column["name"] for column in answer.get("columnDefinitions", [])]
    rows = sorted(answer.get("rows") or [], key=lambda row: _last_seen(row.get("object") or {}))
    return [{**dict(zip(names, map(str, row["cells"]), strict=True)), **_more(row)} for row in rows]


def _more(row: KubeObject) -> dict[str, str]:
    """What tables of events leave out."""
    event = row.get("object") or {}
    about = event.get("involvedObject") or {}
    return {
        "Namespace": str((event.get("metadata") or {}).get("namespace", "")),
        "Involved": f"{about.get('kind', '')}/{about.get('name', '')}",
    }


def _last_seen(event: KubeObject) -> str:
    """A key to sort by: RFC 3339 times sort as text."""
    for name in ("lastTimestamp", "eventTime", "firstTimestamp"):
        if event.get(name):
            return str(event[name])
    return str((event.get("metadata") or {}).get("creationTimestamp", ""))


def event_age(event: Mapping[str, str]) -> str:
    """``5m``, or ``2s (x4 over 5m)`` for an event that repeated."""
    if int(event.get("Count", "0") or 0) > 1:
        return f"{event['Last Seen']} (x{event['Count']} over {event['First Seen']})"
    return event.get("First Seen", event.get("Last Seen", ""))


def _event_row(event: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    source = event.get("Source", "").partition(",")[0]
    return event["Type"], event["Reason"], event_age(event), source, event["Message"].strip()
