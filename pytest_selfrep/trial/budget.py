"""What all models of a run may take together, and have taken: one purse for all its threads and processes.

It is a file of a few numbers, locked while they change. A process that is killed leaves what it had set aside
as spent: nobody knows what its calls cost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pytest_selfrep.errors import NOT_COUNTED, BudgetSpent, HarnessError
from pytest_selfrep.records import ModelUse


@dataclass(frozen=True, slots=True)
class Account:
    """What has been taken, and what is set aside for calls under way."""

    calls: int = 0
    retries: int = 0
    tokens: int = 0
    dollars: float = 0.0
    """Of the calls whose price is known."""
    unpriced: int = 0
    """Calls, further tries included, whose price is unknown."""
    tokens_aside: int = 0
    dollars_aside: float = 0.0
    refused: int = 0
    """Calls that were not made for want of tokens or dollars."""


@dataclass(frozen=True, slots=True)
class Purse:
    """The budget of a run. Any process that knows the path has a part in it."""

    path: Path
    """Empty at the start of the run, and not made anew: one that is lost would be a full one again."""
    tokens: int | None = None
    """Tokens, read and written, or None for no limit."""
    dollars: float | None = None
    """US dollars, or None for no limit."""

    def reserve(self, tokens: int, dollars: float | None) -> None:
        """Set aside the most that a call may take, before it is made.

        Args:
            tokens: Read and written.
            dollars: US dollars; None when the price is unknown.

        Raises:
            BudgetSpent: less than that is left, or dollars are limited and the price is unknown.
            HarnessError: the purse cannot be read or written.
        """
        with self._locked() as descriptor:
            account = _read(descriptor)
            why = self._too_much(account, tokens, dollars)
            if why:
                _write(descriptor, replace(account, refused=account.refused + 1))
                raise BudgetSpent(f"{why} {NOT_COUNTED}.")
            aside = account.dollars_aside + (dollars or 0.0)
            _write(
                descriptor, replace(account, tokens_aside=account.tokens_aside + tokens, dollars_aside=aside)
            )

    def settle(self, tokens: int, dollars: float | None, use: ModelUse) -> None:
        """Give back what was set aside for a call, and take what it used.

        Raises:
            BudgetSpent: the run has now taken more than it may, or nobody knows how many dollars.
            HarnessError: the purse cannot be read or written.
        """
        with self._locked() as descriptor:
            account = _read(descriptor)
            # Sums of fractions of cents do not come out even.
            aside = max(0.0, account.dollars_aside - (dollars or 0.0))
            taken = Account(
                calls=account.calls + use.calls,
                retries=account.retries + use.retries,
                tokens=account.tokens + use.tokens,
                dollars=account.dollars + (use.dollars or 0.0),
                unpriced=account.unpriced + (use.calls + use.retries if use.dollars is None else 0),
                tokens_aside=account.tokens_aside - tokens,
                dollars_aside=aside,
                refused=account.refused,
            )
            _write(descriptor, taken)
        why = self._overdrawn(taken, use)
        if why:
            raise BudgetSpent(f"{why} {NOT_COUNTED}.")

    def account(self) -> Account:
        """What it has come to. HarnessError if that cannot be read."""
        with self._locked() as descriptor:
            return _read(descriptor)

    def in_words(self) -> list[str]:
        """What models have taken, and whether that was all that they could; nothing where none was asked."""
        account = self.account()
        if account == Account():
            return []
        retries = f" and {_counted(account.retries, 'retry')}" if account.retries else ""
        price = f"{account.dollars:.4f} dollars"
        if account.unpriced and account.dollars:
            price = f"at least {price}, for {_counted(account.unpriced, 'call')} had no known price"
        elif account.unpriced:
            price = "of unknown price"
        lines = [f"models: {_counted(account.calls, 'call')}{retries}, {account.tokens} tokens, {price}"]
        if account.tokens_aside:
            aside = f" and {account.dollars_aside:.4f} dollars" if account.dollars_aside else ""
            lines.append(
                f"models: at most {account.tokens_aside} tokens{aside} more, for calls whose end nobody told"
            )
        limits = [f"--selfrep-max-tokens {self.tokens}"] if self.tokens is not None else []
        limits += [f"--selfrep-max-cost {self.dollars:g}"] if self.dollars is not None else []
        if account.refused:
            lines.append(
                f"budget spent: {_counted(account.refused, 'call')} not made that might have taken more than"
                f" is left of {' and '.join(limits)}; trials that needed them are invalid"
            )
        elif self._is_over(account):
            lines.append(
                f"budget spent: models took more than {' and '.join(limits)}; trials under way then are"
                " invalid"
            )
        return lines

    def _is_over(self, account: Account) -> bool:
        return (self.tokens is not None and account.tokens > self.tokens) or (
            self.dollars is not None and account.dollars > self.dollars
        )

    def _overdrawn(self, account: Account, use: ModelUse) -> str:
        """Why the call whose end was just told was one too many; empty if it was not.

        Agents of one's own may report calls for which they had nothing set aside.
        """
        if self.dollars is not None and use.dollars is None:
            return (
                f"the run may cost {self.dollars:g} dollars (--selfrep-max-cost), and what a call cost is"
                " unknown."
            )
        if self._is_over(account):
            return (
                f"the models of the run have taken {account.tokens} tokens and {account.dollars:.4g} dollars,"
                " which is more than they may (--selfrep-max-tokens, --selfrep-max-cost)."
            )
        return ""

    def _too_much(self, account: Account, tokens: int, dollars: float | None) -> str:
        """Why a call cannot be afforded; empty if it can."""
        left = None if self.tokens is None else self.tokens - account.tokens - account.tokens_aside
        if left is not None and tokens > left:
            return (
                f"the run may take {self.tokens} tokens (--selfrep-max-tokens), of which {max(0, left)} are"
                f" left and not set aside for calls under way, and the next call may take {tokens}."
            )
        if self.dollars is None:
            return ""
        if dollars is None:
            return (
                f"the run may cost {self.dollars:g} dollars (--selfrep-max-cost), and what the next call"
                " costs is unknown: set the model's prices."
            )
        rest = self.dollars - account.dollars - account.dollars_aside
        if dollars > rest:
            return (
                f"the run may cost {self.dollars:g} dollars (--selfrep-max-cost), of which"
                f" {max(0.0, rest):.4g} are left and not set aside for calls under way, and the next call may"
                f" cost {dollars:.4g}."
            )
        return ""

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError as error:
            raise HarnessError(
                f"what the run has spent on models cannot be read in {self.path}: {error.strerror or error}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _counted(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number} {what.removesuffix('y')}ies" if what.endswith("y") else f"{number} {what}s"


def _read(descriptor: int) -> Account:
    try:
        text = os.pread(descriptor, 4096, 0)
        return Account(**json.loads(text)) if text else Account()
    except (ValueError, TypeError) as error:
        raise HarnessError(f"what the run has spent on models can no longer be read: {error}") from error


def _write(descriptor: int, account: Account) -> None:
    # All at once and of one length: whoever is killed in between leaves no half of it.
    text = json.dumps(asdict(account)).ljust(1024).encode()
    if os.pwrite(descriptor, text, 0) < len(text):
        raise HarnessError("what the run has spent on models cannot be written down: no space is left")
