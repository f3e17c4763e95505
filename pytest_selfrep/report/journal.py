"""The journal: every trial as one line of JSON, its transcript and recording beside it, before it counts.

Several processes of one run append to one file. Folders are locked with ``flock``, so a second run that is
given the folder of one still going on is refused instead of mixed in, and locks never outlive a process.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

import orjson

from pytest_selfrep.errors import ReportError
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.layout import GATES, RECORDINGS, RUN, SCHEMA, TRANSCRIPTS, TRIALS
from pytest_selfrep.report.masking import Masking

_PIECE: Final = 65_536
"""Bytes that are read at once to find the end of the last whole line."""


class Journal:
    """The journal of one run in one folder, as one process of the run writes it: nothing in it is secret."""

    def __init__(self, folder: Path, run: str, masking: Masking | None = None) -> None:
        self.folder = folder
        self._run = run
        self._masking = masking or Masking()
        self._claim: int | None = None
        self._open_files: dict[str, int] = {}
        self._asked: Counter[str] = Counter()
        """Questions by gate, of those that are not closed."""

    def append(
        self,
        gate: str,
        outcome: Trial | InvalidTrial,
        transcript: str,
        recording: Iterable[Mapping[str, object]] = (),
        *,
        started: datetime,
        seconds: float,
    ) -> str:
        """Record one trial of a gate, and give the path of its transcript.

        ``recording`` is the lines of what its agent did, where that is known.

        The first call of a run replaces what an earlier run left in the folder.

        Raises:
            ReportError: the folder cannot be written, is somebody else's, or belongs to a run still going on.
        """
        suffix = "" if isinstance(outcome, Trial) else "-invalid"
        name = Path(folder_name(gate), f"trial-{outcome.index:03}{suffix}")
        path = Path(TRANSCRIPTS, name.with_suffix(".txt"))
        acts = b"".join(_exactly(self._masking.tree(line)) for line in recording)
        played = Path(RECORDINGS, name.with_suffix(".jsonl"))
        line = {
            "schema": SCHEMA,
            "run": self._run,
            "gate": gate,
            "kind": "trial" if isinstance(outcome, Trial) else "invalid",
            "transcript": path.as_posix(),
            "recording": played.as_posix() if acts else None,
            "started": started.isoformat(),
            "seconds": round(seconds, 6),
            "record": self._masking.tree(asdict(outcome)),
        }
        with self._writing():
            if outcome.index == 0:
                self._forget(gate)
            _write_whole(self.folder / path, self._masking.text(transcript))
            if acts:
                _write_whole(self.folder / played, acts)
            self._write(TRIALS, _encoded(line))
        return _from_here(self.folder / path)

    def ask(self, gate: str, facts: Mapping[str, object]) -> None:
        """Record what is asked of a gate, before it is answered, with all that the answer depends on.

        Raises:
            ReportError: as for ``append``.
        """
        self._write_gate({"gate": gate}, facts)
        self._asked[gate] += 1

    def close_gate(self, gate: str, outcome: str, scenario: str, agent: str) -> None:
        """Record what came of a gate's test, once nothing more can be asked of it.

        Raises:
            ReportError: as for ``append``.
        """
        asked = self._asked.pop(gate, 0)
        facts = {"scenario": scenario, "agent": agent, "outcome": outcome, "questions": asked}
        self._write_gate({"gate": gate}, facts)

    def close_run(self, gates: Sequence[str], troubles: Sequence[str]) -> None:
        """Record that the run is over, with all its gates and why there might have been more.

        Raises:
            ReportError: as for ``append``.
        """
        self._write_gate({"gates": list(gates)}, {"troubles": list(dict.fromkeys(troubles))})

    def _write_gate(self, named: Mapping[str, object], facts: Mapping[str, object]) -> None:
        line = {"schema": SCHEMA, "run": self._run, **named, **self._masking.tree(dict(facts))}
        with self._writing():
            self._write(GATES, _encoded(line))

    def _forget(self, gate: str) -> None:
        """Files of a test's earlier attempt in this run: those of trials that this one does not come to."""
        for kind in (TRANSCRIPTS, RECORDINGS):
            with suppress(FileNotFoundError):
                shutil.rmtree(self.folder / kind / folder_name(gate))

    def close(self) -> None:
        for descriptor in (*self._open_files.values(), self._claim):
            if descriptor is not None:
                os.close(descriptor)
        self._open_files, self._claim = {}, None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            if not self._open_files:
                self._open()
            yield
        except OSError as error:
            raise ReportError(
                f"the journal in {self.folder} cannot be written: {error.strerror or error}; "
                "free space there or name another folder with --selfrep-output"
            ) from error

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / ".lock"):
            self._claim = self._claimed()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        self._open_files = {name: os.open(self.folder / name, flags, 0o644) for name in (TRIALS, GATES)}

    def _claimed(self) -> int:
        """A shared lock on the folder's run, which is ours from now on."""
        claim = _opened(self.folder / RUN)
        if claim is None:
            named = (TRIALS, GATES, TRANSCRIPTS, RECORDINGS)
            strangers = [name for name in named if (self.folder / name).exists()]
            if strangers:
                raise ReportError(
                    f"{self.folder} holds {' and '.join(strangers)} of unknown origin; "
                    "move them away or name another folder with --selfrep-output"
                )
        elif self._is_ours(claim):
            fcntl.flock(claim, fcntl.LOCK_SH)
            return claim
        else:
            self._require_over(claim)
        return self._take_over()

    def _is_ours(self, claim: int) -> bool:
        try:
            return bool(json.loads(os.read(claim, 65_536))["run"] == self._run)
        except (ValueError, TypeError, KeyError):
            return False

    def _require_over(self, claim: int) -> None:
        """Refuse a folder in which another run's processes are still writing."""
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReportError(
                f"another run is writing to {self.folder}; wait for it or name another folder with "
                "--selfrep-output"
            ) from None
        finally:
            os.close(claim)

    def _take_over(self) -> int:
        # In this order, for whoever dies half-way leaves a folder whose run.json says how much to believe.
        _write_whole(self.folder / RUN, json.dumps({"schema": SCHEMA, "run": self._run}) + "\n")
        for name in (TRIALS, GATES):
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()
        for name in (TRANSCRIPTS, RECORDINGS):
            with suppress(FileNotFoundError):
                shutil.rmtree(self.folder / name)
        claim = os.open(self.folder / RUN, os.O_RDONLY)
        fcntl.flock(claim, fcntl.LOCK_SH)
        return claim

    def _write(self, name: str, line: bytes) -> None:
        """One write for one line, and no half of it when the disk is full."""
        descriptor = self._open_files[name]
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.fstat(descriptor).st_nlink == 0:
                raise OSError(f"{name} was deleted while the run went on")
            size = _cut_to_whole_lines(descriptor)
            written = os.write(descriptor, line)
            if written < len(line):
                os.ftruncate(descriptor, size)
                raise OSError("no space left for a whole line")
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def folder_name(gate: str) -> str:
    """A name for the folder of a gate's transcripts: safe on every file system, no two gates alike."""
    path, _, test = gate.partition("::")
    readable = re.sub(r"[^A-Za-z0-9._@-]+", "-", f"{PurePosixPath(path).stem}-{test}").strip("-.")
    return f"{readable[:80]}-{hashlib.sha256(gate.encode()).hexdigest()[:8]}"


def probe(folder: Path) -> None:
    """Find out, and leave no trace, whether ``folder`` could be made and written to. ReportError if not."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        if not existing.is_dir():
            raise NotADirectoryError(f"{existing} is not a folder")
        trial = existing / f".selfrep-{os.getpid()}"
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise ReportError(f"{folder} cannot be written to: {error.strerror or error}") from None


def _cut_to_whole_lines(descriptor: int) -> int:
    """Drop the half line of a process that was killed while it wrote; the file's size then."""
    size = end = os.fstat(descriptor).st_size
    while end and (piece := os.pread(descriptor, min(end, _PIECE), max(0, end - _PIECE))):
        if (newline := piece.rfind(b"\n")) >= 0:
            end += newline + 1 - len(piece)
            break
        end -= len(piece)
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _encoded(line: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # An agent wrote half of a surrogate pair, which UTF-8 cannot hold. No reason to lose its record.
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return f"{text}\n".encode(errors="replace")


def _exactly(line: Mapping[str, object]) -> bytes:
    """With half surrogate pairs, numbers of any size and NaN as they are."""
    try:
        return f"{json.dumps(line, ensure_ascii=False, separators=(',', ':'))}\n".encode()
    except UnicodeEncodeError:
        return f"{json.dumps(line, separators=(',', ':'))}\n".encode()


def _from_here(path: Path) -> str:
    """The path as one would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None


def _write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    data = content if isinstance(content, bytes) else content.encode(errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
