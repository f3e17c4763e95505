"""``kubectl events``."""

from __future__ import annotations

from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.describe.page import event_age, event_table
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import EVENT
from pytest_selfrep.tools.kubectl.targets import list_path
from pytest_selfrep.tools.kubectl.text import table


def events(command: Command) -> None:
    if command.arguments:
        raise fault(f'unknown command "{command.arguments[0]}" for "kubectl events"')
    types = [word.lower() for word in command.listed("types")]
    wrong = [word for word in types if word not in ("normal", "warning")]
    if wrong:
        raise fault("valid --types are Normal or Warning")
    query = {"limit": "500"}
    about = command.text("for")
    if about:
        kind, slash, name = about.partition("/")
        if not slash or not name:
            raise fault(f"--for must be in resource/name form, not {about}")
        found = command.discovery.by_word(kind)
        query["fieldSelector"] = f"involvedObject.kind={found.kind},involvedObject.name={name}"
    rows = event_table(command, list_path(command, EVENT), query)
    rows = [row for row in rows if not types or row["Type"].lower() in types]
    if not rows:
        where = "" if command.switched("all-namespaces") else f" in {command.namespace} namespace."
        command.say(f"No events found{where}")
        return
    header = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    cells = [
        [event_age(row), row["Type"], row["Reason"], row["Involved"], row["Message"].strip()] for row in rows
    ]
    if command.switched("all-namespaces"):
        header.insert(0, "NAMESPACE")
        for cell, row in zip(cells, rows, strict=True):
            cell.insert(0, row["Namespace"])
    command.write(table(cells if command.switched("no-headers") else [header, *cells]))


VERBS = (
    Verb(
        "events",
        events,
        (f.ALL_NAMESPACES, f.NO_HEADERS, f.Flag("for", f.TEXT), f.Flag("types", f.LIST)),
        "events [--for TYPE/NAME] [--types=Normal,Warning] [options]",
        "List events",
    ),
)
