"""The journal of trials, on disk."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from report_builders import make_invalid, make_trial

from pytest_selfrep.errors import ReportError
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.journal import Journal, folder_name, probe

STARTED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
GATE = "tests/test_gate.py::test_hoards[scripted/hoarder]"


def append(
    journal: Journal, outcome: Trial | InvalidTrial, transcript: str = "said\n", gate: str = GATE
) -> str:
    return journal.append(gate, outcome, transcript, started=STARTED, seconds=0.0251)


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_line_holds_the_record_and_apart_from_it_what_depends_on_the_machine(tmp_path: Path) -> None:
    trial = make_trial(3, excess=2)

    append(Journal(tmp_path, "run-1"), trial)

    (line,) = lines_of(tmp_path)
    record = json.loads(json.dumps(asdict(trial)))
    assert line == {
        "schema": 1,
        "run": "run-1",
        "gate": GATE,
        "kind": "trial",
        "transcript": f"transcripts/{folder_name(GATE)}/trial-003.txt",
        "recording": None,
        "started": "2026-11-21T08:00:00+00:00",
        "seconds": 0.0251,
        "record": record,
    }


def test_each_trial_has_a_readable_transcript(tmp_path: Path) -> None:
    path = append(Journal(tmp_path, "run-1"), make_trial(3), "== Turn 1 ==\n")

    assert Path(path).read_text(encoding="utf-8") == "== Turn 1 ==\n"
    assert Path(path).name == "trial-003.txt"


def test_an_invalid_trial_is_recorded_as_such(tmp_path: Path) -> None:
    path = append(Journal(tmp_path, "run-1"), make_invalid(2))

    (line,) = lines_of(tmp_path)
    assert line["kind"] == "invalid"
    assert Path(path).name == "trial-002-invalid.txt"


def test_nothing_is_written_before_the_first_trial(tmp_path: Path) -> None:
    Journal(tmp_path / "out", "run-1").close()

    assert not (tmp_path / "out").exists()


def test_a_line_is_on_disk_before_the_next_one_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run-1")
    for index in range(3):
        append(journal, make_trial(index))
        assert len(lines_of(tmp_path)) == index + 1


def test_a_new_run_replaces_what_the_earlier_one_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "risk.xml").write_text("somebody else's", encoding="utf-8")
    earlier = Journal(tmp_path, "run-1")
    old = append(earlier, make_trial(0), gate="a.py::old")
    earlier.close()

    append(Journal(tmp_path, "run-2"), make_trial(1))

    assert [line["run"] for line in lines_of(tmp_path)] == ["run-2"]
    assert not Path(old).exists()
    assert (tmp_path / "risk.xml").read_text(encoding="utf-8") == "somebody else's"


def test_a_second_process_of_the_same_run_adds_to_it(tmp_path: Path) -> None:
    append(Journal(tmp_path, "run-1"), make_trial(0), gate="a.py::one")
    append(Journal(tmp_path, "run-1"), make_trial(0), gate="a.py::two")

    assert [line["gate"] for line in lines_of(tmp_path)] == ["a.py::one", "a.py::two"]


def test_a_run_that_is_still_going_on_keeps_its_folder(tmp_path: Path) -> None:
    running = Journal(tmp_path, "run-1")
    append(running, make_trial(0))

    with pytest.raises(ReportError, match=r"another run is writing to .*--selfrep-output"):
        append(Journal(tmp_path, "run-2"), make_trial(0))

    append(running, make_trial(1))
    assert [line["run"] for line in lines_of(tmp_path)] == ["run-1", "run-1"]


@pytest.mark.parametrize("name", ["trials.jsonl", "gates.jsonl", "transcripts", "recordings"])
def test_files_of_unknown_origin_are_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(ReportError, match=f"holds {name} of unknown origin"):
        append(Journal(tmp_path, "run-1"), make_trial(0))


def test_a_journal_that_is_deleted_during_the_run_is_an_error_not_a_loss(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run-1")
    append(journal, make_trial(0))
    (tmp_path / "trials.jsonl").unlink()

    with pytest.raises(ReportError, match="was deleted while the run went on"):
        append(journal, make_trial(1))


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ReportError, match=r"file/out cannot be written.*--selfrep-output"):
        append(Journal(tmp_path / "file" / "out", "run-1"), make_trial(0))


def test_a_full_disk_is_an_error_and_leaves_no_half_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, "run-1")
    append(journal, make_trial(0))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: len(data) // 2]))

    with pytest.raises(ReportError, match="no space left for a whole line"):
        append(journal, make_trial(1))

    monkeypatch.undo()
    append(journal, make_trial(2))
    assert [line["kind"] for line in lines_of(tmp_path)] == ["trial", "trial"]


def test_an_error_of_the_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(ReportError, match="No space left on device"):
        append(Journal(tmp_path, "run-1"), make_trial(0))


def test_text_that_is_no_unicode_does_not_lose_the_record(tmp_path: Path) -> None:
    path = append(Journal(tmp_path, "run-1"), make_trial(0, quotation="half \ud83d"), "half \ud83d\n")

    (line,) = lines_of(tmp_path)
    assert "half ?" in json.dumps(line)
    assert Path(path).read_text(encoding="utf-8") == "half ?\n"


def test_gates_with_similar_names_have_different_folders() -> None:
    gates = [
        "a/t.py::x[b/c]",
        "a/t.py::x[b-c]",
        "b/t.py::x[b/c]",
        f"a/t.py::{'x' * 500}1",
        f"a/t.py::{'x' * 500}2",
    ]

    names = {folder_name(gate) for gate in gates}

    assert len(names) == len(gates)
    assert all(len(name) < 100 and "/" not in name for name in names)
    assert folder_name("tests/test_gate.py::test_x[scripted/hoarder@0.3]").startswith(
        "test_gate-test_x-scripted-hoarder@0.3"
    )


def write_many(folder: Path, gate: str, go: Event) -> None:
    go.wait(30)
    journal = Journal(folder, "run-1")
    for index in range(200):
        append(journal, make_trial(index, quotation="long " * 2000), gate=gate)


def test_processes_of_one_run_write_whole_lines_side_by_side(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    go = context.Event()
    writers = [context.Process(target=write_many, args=(tmp_path, f"a.py::{n}", go)) for n in range(3)]
    for writer in writers:
        writer.start()
    go.set()
    for writer in writers:
        writer.join(60)

    found = [str(line["gate"]) for line in lines_of(tmp_path)]
    assert sorted(found) == sorted(f"a.py::{n}" for n in range(3) for _ in range(200))


def test_a_killed_writer_leaves_whole_lines_and_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    go = context.Event()
    go.set()
    writer = context.Process(target=write_many, args=(tmp_path, "a.py::killed", go))
    writer.start()
    journal = tmp_path / "trials.jsonl"
    while writer.is_alive() and not (journal.exists() and journal.stat().st_size > 0):
        pass
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)

    survivor = Journal(tmp_path, "run-1")
    append(survivor, make_trial(0), gate="a.py::survivor")
    survivor.close()
    gates = [line["gate"] for line in lines_of(tmp_path)]
    assert gates[-1] == "a.py::survivor"
    assert set(gates[:-1]) <= {"a.py::killed"}
    append(Journal(tmp_path, "run-2"), make_trial(0))
    assert [line["run"] for line in lines_of(tmp_path)] == ["run-2"]


@pytest.mark.parametrize("torn", [b"{", b'{"run": "' + b"x" * 200_000], ids=["short", "long"])
def test_the_half_line_of_a_killed_writer_gives_way_to_the_next_line(tmp_path: Path, torn: bytes) -> None:
    append(Journal(tmp_path, "run-1"), make_trial(0))
    with (tmp_path / "trials.jsonl").open("ab") as file:
        file.write(torn)

    append(Journal(tmp_path, "run-1"), make_trial(1))

    assert [line["transcript"] for line in lines_of(tmp_path)] == [
        f"transcripts/{folder_name(GATE)}/trial-{index:03}.txt" for index in range(2)
    ]


def test_probing_a_folder_leaves_no_trace(tmp_path: Path) -> None:
    probe(tmp_path / "a" / "b")

    assert list(tmp_path.iterdir()) == []


def test_probing_finds_out_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ReportError, match="file is not a folder"):
        probe(tmp_path / "file")
    with pytest.raises(ReportError, match="file is not a folder"):
        probe(tmp_path / "file" / "out")
    with pytest.raises(ReportError, match="cannot be written to"):
        probe(Path("/proc/selfrep-report"))


def test_a_recording_stands_beside_its_transcript_and_loses_nothing(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"trial": 0},
        {"text": "half \ud83d", "number": 2**80, "nan": float("inf"), "lines": "a\u2028b"},
    ]
    journal = Journal(tmp_path, "run-1")
    journal.append(GATE, make_trial(0), "", lines, started=STARTED, seconds=1.0)

    (line,) = lines_of(tmp_path)
    assert line["recording"] == f"recordings/{folder_name(GATE)}/trial-000.jsonl"
    text = (tmp_path / str(line["recording"])).read_text(encoding="utf-8")
    assert [json.loads(each) for each in text.rstrip("\n").split("\n")] == lines


def test_no_secret_of_the_environment_gets_into_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, "run-1")
    monkeypatch.setenv("ACME_API_KEY", "sk-12345678")
    trial = make_trial(0, quotation="export ACME_API_KEY=sk-12345678")
    recording = [{"text": "sk-12345678", "arguments": {"sk-12345678": ["sk-12345678"]}}]
    journal.append(GATE, trial, "it says sk-12345678\n", recording, started=STARTED, seconds=1.0)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert not [path for path in files if b"sk-12345678" in path.read_bytes()]
    masked = [path for path in files if b"[masked: ACME_API_KEY]" in path.read_bytes()]
    assert sorted(path.suffix for path in masked) == [".jsonl", ".jsonl", ".txt"]
