"""One kubectl command on its way: what was asked, what has been printed so far, what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytest_selfrep.clusters.kube import ApiError, KubeClient
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.tools.kubectl.errors import Complaint, describe_error, fault, usage_fault
from pytest_selfrep.tools.kubectl.flags import Flag, Parsed
from pytest_selfrep.tools.kubectl.kinds import Discovery


@dataclass(frozen=True, slots=True)
class Verb:
    """A subcommand: its name (``create deployment``), what runs it, and what it takes."""

    name: str
    run: Callable[[Command], None]
    flags: tuple[Flag, ...]
    usage: str
    short: str
    """One line for ``kubectl help``."""
    aliases: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    """Flags that must be given."""


@dataclass(slots=True)
class Command:
    """A parsed command line with the means to carry it out. Verbs print with :meth:`say`."""

    verb: Verb
    parsed: Parsed
    hands: Hands
    discovery: Discovery
    stdin: str
    out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What kubectl prints beside its output without anything being wrong."""
    errors: list[str] = field(default_factory=list)
    """Errors about single objects; printed after everything else, as kubectl does."""
    code: int = 0
    """Exit code, where that says more than whether there were errors."""

    @property
    def client(self) -> KubeClient:
        client = self.hands.client
        return client.with_managed_fields() if self.switched("show-managed-fields") else client

    @property
    def source(self) -> str:
        """Where its manifests come from, as kubectl's errors have it."""
        names = self.listed("filename")
        return names[0] if names and names[0] != "-" else "STDIN"

    @property
    def arguments(self) -> list[str]:
        return self.parsed.arguments

    @property
    def namespace(self) -> str:
        return self.text("namespace") or self.hands.namespace

    def given(self, flag: str) -> bool:
        return flag in self.parsed.values

    def text(self, flag: str, default: str = "") -> str:
        value = self.parsed.values.get(flag, default)
        return value if isinstance(value, str) else default

    def integer(self, flag: str, default: int = 0) -> int:
        value = self.parsed.values.get(flag, default)
        return value if isinstance(value, int) else default

    def seconds(self, flag: str, default: float = 0.0) -> float:
        value = self.parsed.values.get(flag, default)
        return float(value) if isinstance(value, int | float) else default

    def switched(self, flag: str, *, default: bool = False) -> bool:
        return bool(self.parsed.values.get(flag, default))

    def listed(self, flag: str) -> list[str]:
        value = self.parsed.values.get(flag, [])
        return value if isinstance(value, list) else []

    def say(self, line: str) -> None:
        """Print a line."""
        self.out.append(line + "\n")

    def remark(self, line: str) -> None:
        """Print a line to standard error."""
        self.remarks.append(line + "\n")

    def write(self, text: str) -> None:
        """Print text as it is."""
        self.out.append(text)

    @contextmanager
    def carry_on(self) -> Iterator[None]:
        """Keep an error for the end, so that one object does not stop the others."""
        try:
            yield
        except ApiError as error:
            self.errors.append(describe_error(error))
        except Complaint as complaint:
            self.errors.append(str(complaint))

    def usage(self, message: str) -> Complaint:
        """An error in how this command was called."""
        return usage_fault(message, self.verb.name)

    def one_name(self) -> str:
        """The single argument of ``create KIND NAME``. Raises Complaint otherwise."""
        if len(self.arguments) != 1:
            raise self.usage(f"exactly one NAME is required, got {len(self.arguments)}")
        return self.arguments[0]

    def dry_run(self) -> str:
        """``none``, ``client`` or ``server``. Raises Complaint on other values."""
        value = self.text("dry-run", "none")
        if value == "unchanged":
            self.say("W: --dry-run is deprecated and can be replaced with --dry-run=client.")
            return "client"
        if value not in ("none", "client", "server"):
            raise fault(f'Invalid dry-run value ({value}). Must be "none", "server", or "client".')
        return value

    def write_query(self) -> Mapping[str, str]:
        """Query parameters of a request that changes something."""
        query = {"fieldManager": self.text("field-manager") or f"kubectl-{self.verb.name.split()[0]}"}
        if self.text("dry-run") == "server":
            query["dryRun"] = "All"
        return query

    def done_suffix(self) -> str:
        """What follows ``deployment.apps/web scaled`` when nothing was changed for good."""
        return {"client": " (dry run)", "server": " (server dry run)", "unchanged": " (dry run)"}.get(
            self.text("dry-run"), ""
        )
