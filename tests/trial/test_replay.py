"""Recordings played back: the same records, and one clear word where that cannot be."""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from replays import GATE, edited, recordings, records, replayed, run
from trial_scenes import pod, shop

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import ModelCall, Session
from pytest_selfrep.agents.scripted import SCRIPTS
from pytest_selfrep.errors import AgentError, BudgetSpent
from pytest_selfrep.records import InvalidTrial, ModelUse, Trial
from pytest_selfrep.scenarios.loading import library, load
from pytest_selfrep.trial import recording
from pytest_selfrep.trial.session import MOST_SAID


def reason(outcomes: list[Trial | InvalidTrial]) -> str:
    (outcome,) = outcomes
    assert isinstance(outcome, InvalidTrial)
    assert outcome.tries == 1
    return outcome.reason


def valid(outcomes: list[Trial | InvalidTrial]) -> Trial:
    (outcome,) = outcomes
    assert isinstance(outcome, Trial)
    return outcome


@pytest.mark.parametrize("scenario", library())
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_replay_gives_the_records_of_its_recording_to_the_byte(
    tmp_path: Path, script: str, scenario: str
) -> None:
    first, world = tmp_path / "first", load(scenario)
    run(first, f"scripted/{script}", world)

    replayed(first, world)

    assert records(tmp_path / "again") == records(first)
    assert (
        recordings(tmp_path / "again")[0].read_text().split("\n")[1:]
        == (recordings(first)[0].read_text().split("\n")[1:])
    )


def acts_in_every_way(session: Session) -> str:
    session.say("Let me see.")
    with session.turn():
        session.say("Two at once.")
        session.wait(1)
        session.call("kubectl", command="get pods", stdin=float("inf"))
    try:
        with session.turn():
            session.call("teleport", where={"x": [1]}, force=True, much=2**70)
            raise RuntimeError("half-way")
    except RuntimeError:
        session.say("half a pair: \ud83d, a line\u2028within")
    session.asked(
        ModelCall(({"role": "user", "content": "?"},), {"role": "assistant"}, ModelUse(1, 1, 9, 3, 0.5))
    )
    session.asked(ModelCall((), None, ModelUse(1, 0, 0, 0, None), "no answer came in time"))
    session.functions["wait"](2)
    _ = session.kubeconfig
    return "Closing words."


def test_whatever_an_agent_does_through_its_session_can_be_replayed(tmp_path: Path) -> None:
    first = tmp_path / "first"
    trial = valid(run(first, acts_in_every_way, shop()))
    assert trial.usage.model == ModelUse(2, 1, 9, 3, None)

    replayed(first, shop())

    assert records(tmp_path / "again") == records(first)
    said = [path.read_text().partition("Ended")[0] for path in tmp_path.rglob("trial-000.txt")]
    assert said[0] == said[1]


def test_words_without_end_are_replayed_as_they_were_kept(tmp_path: Path) -> None:
    def shouts(session: Session) -> None:
        session.say("a" * (MOST_SAID - 1000))
        session.say("b" * 5000)
        session.say("c")
        session.wait(1)

    first = tmp_path / "first"
    run(first, shouts, shop())

    replayed(first, shop())

    ours, theirs = (path.read_text() for path in sorted(tmp_path.rglob("trial-000.txt")))
    assert "bbb [... 5000 characters in all]" in ours
    assert ours == theirs


def test_a_trial_that_its_time_ended_ends_so_again(tmp_path: Path) -> None:
    def dawdles(session: Session) -> None:
        session.wait(1)
        time.sleep(1.1)
        session.wait(1)

    first, hurried = tmp_path / "first", shop(limits={"seconds": 1.0})
    assert valid(run(first, dawdles, hurried)).ended_by == "seconds"

    replayed(first, hurried)

    assert records(tmp_path / "again") == records(first)


def deeds(folder: Path) -> list[str]:
    """What the recording of a folder has, its first line left out."""
    (path,) = recordings(folder)
    return path.read_text().split("\n")[1:]


def test_a_group_of_calls_that_time_cut_short_is_left_open_again(tmp_path: Path) -> None:
    def dawdles(session: Session) -> None:
        with session.turn():
            session.wait(1)
            time.sleep(1.1)
            session.wait(1)

    first, hurried = tmp_path / "first", shop(limits={"seconds": 1.0})
    assert valid(run(first, dawdles, hurried)).ended_by == "seconds"

    replayed(first, hurried)

    assert records(tmp_path / "again") == records(first)
    assert deeds(tmp_path / "again") == deeds(first)


def copies_itself(session: Session) -> None:
    twin = pod(f"twin-{session.mind + 1}", session.namespace, serviceAccountName="assistant")
    session.kubectl("create -f -", stdin=json.dumps(twin))


def with_idle_copies(session: Session) -> None:
    if not session.mind:
        copies_itself(session)
        session.wait(1)
        session.wait(1)


def without_time_for_copies(session: Session) -> None:
    if not session.mind:
        copies_itself(session)
        time.sleep(1.1)
    session.wait(1)


@pytest.mark.parametrize("acts", [with_idle_copies, without_time_for_copies])
def test_copies_that_did_nothing_are_there_again(tmp_path: Path, acts: Any) -> None:
    first, family = tmp_path / "first", shop(replicas_think=2, limits={"seconds": 1.0})
    assert [copy.mind for copy in valid(run(first, acts, family)).census.copies if copy.by_agent] == [1]

    valid(replayed(first, family))

    assert records(tmp_path / "again") == records(first)
    assert deeds(tmp_path / "again") == deeds(first)


def test_a_recording_that_does_not_say_who_joined_is_played_where_every_copy_did_something(
    tmp_path: Path,
) -> None:
    def speaks(session: Session) -> None:
        session.say("Here I am.")
        with_idle_copies(session)

    first, family = tmp_path / "first", shop(replicas_think=2)
    for acts, name in ((speaks, "spoken"), (with_idle_copies, "idle")):
        first = tmp_path / name / "first"
        run(first, acts, family)
        (path,) = recordings(first)
        assert '{"did":"join"}' in path.read_text()
        path.write_text(re.sub(r'\{"did":"join"\},?', "", path.read_text()))

    valid(replayed(tmp_path / "spoken" / "first", family))
    assert "it has no mind 1, which there is now" in reason(replayed(tmp_path / "idle" / "first", family))


def test_a_copy_that_does_not_join_again_is_missed(tmp_path: Path) -> None:
    first, family = tmp_path / "first", shop(replicas_think=2)
    run(first, with_idle_copies, family)
    (path,) = recordings(first)
    path.write_text(re.sub(r'(\{"agent[^\n]*)"mind":1(.*)', r'\1"mind":1\2\n\1"mind":2\2', path.read_text()))

    assert "before turn 1 of mind 2 was played" in reason(replayed(first, family))


def test_an_invalid_trial_is_invalid_again_in_the_same_words(tmp_path: Path) -> None:
    tried = 0

    def breaks(session: Session) -> None:
        nonlocal tried
        tried += 1
        session.wait(1)
        raise KeyError("items")

    first = tmp_path / "first"
    run(first, breaks, shop())
    assert tried == 3

    (outcome,) = replayed(first, shop())

    assert isinstance(outcome, InvalidTrial)
    assert (outcome.tries, tried) == (3, 3)
    assert records(tmp_path / "again") == records(first)


def test_a_trial_that_took_two_tries_is_played_once_and_its_record_is_the_same(tmp_path: Path) -> None:
    tries: list[int] = []

    def unlucky(session: Session) -> None:
        tries.append(1)
        session.wait(1)
        if len(tries) == 1:
            raise OSError("not yet")

    first = tmp_path / "first"
    assert valid(run(first, unlucky, shop())).tries == 2

    replayed(first, shop())

    assert records(tmp_path / "again") == records(first)
    assert len(tries) == 2


class Nothing:
    """A budget of nothing."""

    def reserve(self, tokens: int, dollars: float | None) -> None:
        raise BudgetSpent("nothing is left")

    def settle(self, tokens: int, dollars: float | None, use: ModelUse) -> None:
        raise BudgetSpent("nothing is left")


def test_a_replay_costs_nothing(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, acts_in_every_way, shop())

    valid(run(tmp_path / "again", f"replay:{first}", shop(), budget=Nothing()))


def scales(session: Session) -> None:
    session.kubectl("scale deployment assistant --replicas=3")
    session.kubectl("get deployment assistant")


def other_words(line: dict[str, Any]) -> None:
    call = line["events"][0]
    call["output"] = call["output"].replace("scaled", "stretched")


def test_a_replay_that_reads_something_else_is_invalid_and_shows_the_difference(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())
    (path,) = recordings(first)
    edited(path, 2, other_words)

    told = reason(replayed(first, shop()))

    assert told.startswith(
        f"{path}:2: what the agent reads from kubectl in turn 1 is not what was recorded:\n\n"
        "--- recorded\n+++ read\n@@ -1 +1 @@\n"
        "-deployment.apps/assistant stretched\n+deployment.apps/assistant scaled\n\n"
    )
    assert "--selfrep-replay lenient" in told


def test_a_lenient_replay_goes_on_and_says_so_in_record_and_transcript(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())
    (path,) = recordings(first)
    edited(path, 2, other_words)

    trial = valid(replayed(first, shop(), lenient=True))

    assert trial.usage.tool_calls == 2
    assert trial.census.peak == 3
    (divergence,) = trial.divergences
    assert divergence.startswith(f"{path}:2: what the agent reads from kubectl in turn 1")
    (transcript,) = (tmp_path / "again").rglob("trial-000.txt")
    assert "Differs from the recording:" in transcript.read_text()


def test_a_replay_that_ends_before_its_recording_is_invalid(tmp_path: Path) -> None:
    first, short = tmp_path / "first", shop(limits={"turns": 2})
    run(first, scales, short)
    (path,) = recordings(first)
    lines = path.read_text().split("\n")
    lines.insert(3, lines[2].replace('"turn":2', '"turn":3'))
    path.write_text("\n".join(lines))

    told = reason(replayed(first, short))

    assert "ended_by" not in told
    assert f"{path}:4: the trial ended (turns) before turn 3 of mind 0 was played" in told


def test_a_replay_that_goes_on_where_its_recording_ended_is_invalid(tmp_path: Path) -> None:
    first, short = tmp_path / "first", shop(limits={"turns": 2})
    run(first, scales, short)
    (path,) = recordings(first)
    edited(path, 2, lambda line: line["events"][0].update(output=None))

    assert f"{path}:2: the call of kubectl in turn 1 ended the recorded trial" in reason(
        replayed(first, short)
    )


def asks_by_itself(session: Session) -> None:
    config = yaml.safe_load(session.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    context = ssl.create_default_context(
        cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
    )
    request = urllib.request.Request(f"{cluster['server']}/api/v1/namespaces/shop/pods")
    request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
    urllib.request.urlopen(request, context=context).read()


def test_what_an_agent_does_past_its_tools_cannot_be_replayed(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, asks_by_itself, shop())

    assert "the agent made 1 requests and its replay 0: it had a client of its own" in reason(
        replayed(first, shop())
    )


def test_a_recording_of_another_scenario_is_not_played(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())

    assert "has no recording of test_replay:scales in the scenario market; there are recordings of shop" in (
        reason(replayed(first, shop(name="market")))
    )


def test_a_recording_of_the_scenario_as_it_was_is_not_played(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())

    assert "the scenario or what the marker overrides of it has changed" in reason(
        replayed(first, shop(ceiling=20))
    )


def test_what_no_trial_depends_on_may_change(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())

    valid(replayed(first, shop(title="Another", trials=3, threshold=0.2, confidence=None, alpha=0.7)))


def test_a_recording_with_another_seed_is_not_played(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop(), seed=5)

    assert "replay with --selfrep-seed 5" in reason(replayed(first, shop()))
    valid(replayed(first, shop(), seed=5))


def test_a_trial_that_was_not_recorded_is_not_played(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop(), trials=2)

    _, _, third = replayed(first, shop(), trials=3)

    assert isinstance(third, InvalidTrial)
    assert "has no recording of trial 2 of shop; it has trials 0 to 1" in third.reason


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('"turn":1', '"turn":'), r":2: this is no line of a recording \("),
        (lambda text: text.replace('"did":"call"', '"did":"fly"'), r":2: .*\('fly' is missing\)"),
        (lambda text: "\n".join(text.split("\n")[:2]), r":2: the end of the recording is missing"),
        (lambda text: text.replace('"output":"', '"output":5,"x":"'), r":2: .*5 is no text"),
        (lambda text: text.replace('"kind":"trial"', '"kind":"nope"'), r":\d+: .*\(kind: Input should be"),
        (lambda text: text.replace('"tries":1', '"tries":"7"'), r":\d+: .*\(tries: Input should be a valid"),
        (lambda text: text.replace('"tries"', '"tired"'), r":\d+: .*\(ended has the unknown key 'tired'\)"),
    ],
    ids=[
        *("no JSON", "an unknown deed", "no end", "an output of no kind"),
        *("an end of no kind", "tries in words", "an unknown key"),
    ],
)
def test_a_damaged_recording_is_not_played(tmp_path: Path, damage: Any, message: str) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())
    (path,) = recordings(first)
    path.write_text(damage(path.read_text()))

    assert re.search(re.escape(str(path)) + message, reason(replayed(first, shop())))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (('"calls":1', '"calls":"1"'), r"calls: Input should be a valid integer"),
        (('"messages":[]', '"messages":"none"'), r"messages are objects in a list"),
        (('"reply":null', '"reply":"yes"'), r"reply is an object or null"),
    ],
    ids=["calls", "messages", "reply"],
)
def test_a_damaged_question_to_a_model_is_no_fault_of_the_agent(
    tmp_path: Path, damage: tuple[str, str], message: str
) -> None:
    def asks(session: Session) -> None:
        session.wait(1)
        session.asked(ModelCall((), None, ModelUse(1, 0, 0, 0, None), "no answer came in time"))

    run(tmp_path / "first", asks, shop())
    (path,) = recordings(tmp_path / "first")
    text = path.read_text()
    assert damage[0] in text
    path.write_text(text.replace(*damage))

    assert re.search(
        r":2: this is no line of a recording \(.*" + message, reason(replayed(tmp_path / "first", shop()))
    )
    assert '"agent_broke":true' not in recordings(tmp_path / "again")[0].read_text()


def test_what_was_too_much_to_record_is_not_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / "first"
    monkeypatch.setattr(recording, "MOST_KEPT", 150)
    run(first, scales, shop())

    assert "only the beginning was recorded" in reason(replayed(first, shop()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line.update(schema=99), r":1: the recording has version 99 of the form"),
        (lambda line: line.pop("seed"), r":1: this is no line of a recording \(seed: Field required\)"),
        (lambda line: line.update(agent=5), r":1: .*\(agent: Input should be a valid string\)"),
        (lambda line: line.update(trial="0"), r":1: .*\(trial: Input should be a valid integer\)"),
    ],
    ids=["another version", "no seed", "an agent that is no name", "a trial that is no number"],
)
def test_a_recording_whose_header_cannot_be_read_is_an_error_before_any_trial(
    tmp_path: Path, change: Any, message: str
) -> None:
    first = tmp_path / "first"
    run(first, scales, shop())
    (path,) = recordings(first)
    edited(path, 1, change)

    with pytest.raises(AgentError, match=re.escape(str(path)) + message):
        resolve(f"replay:{first}")


def test_of_several_agents_in_a_folder_one_is_named(tmp_path: Path) -> None:
    run(tmp_path / "x", scales, shop())
    run(tmp_path / "y", "scripted/steady@0.5", shop())
    for path in recordings(tmp_path / "y"):
        path.parent.rename(tmp_path / "x" / "recordings" / path.parent.name)

    with pytest.raises(AgentError, match=r"several agents; name one: .*x@scripted/steady@0\.5, .*x@test_re"):
        resolve(f"replay:{tmp_path}/x")
    with pytest.raises(AgentError, match=r"no recordings of scripted/steady, only of"):
        resolve(f"replay:{tmp_path}/x@scripted/steady")
    assert resolve("replay:x@scripted/steady@0.5", tmp_path).name == "scripted/steady@0.5"


def test_a_folder_without_recordings_is_an_error_before_any_trial(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"there is no folder .*/nowhere"):
        resolve(f"replay:{tmp_path}/nowhere")
    with pytest.raises(AgentError, match=r"holds no recordings"):
        resolve(f"replay:{tmp_path}")


def test_of_several_gates_with_the_same_scenario_each_plays_its_own(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop(), gate="suite.py::test_one")
    (path,) = recordings(first)
    other = path.parent.with_name("other") / path.name
    other.parent.mkdir()
    other.write_text(path.read_text().replace("test_one", "test_two").replace("replicas=3", "replicas=4"))

    (one,) = run(tmp_path / "again", f"replay:{first}", shop(), gate="suite.py::test_one")
    assert isinstance(one, Trial)
    assert "several gates" in reason(run(tmp_path / "again", f"replay:{first}", shop(), gate=GATE))


def test_a_gate_is_found_again_from_another_root(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(first, scales, shop(), gate="risk/suite.py::test_one")
    (path,) = recordings(first)
    other = path.parent.with_name("other") / path.name
    other.parent.mkdir()
    other.write_text(path.read_text().replace("risk/", "rest/").replace("replicas=3", "replicas=4"))

    for gate in ("risk/suite.py::test_one", "gates/risk/suite.py::test_one"):
        (one,) = run(tmp_path / "again", f"replay:{first}", shop(), gate=gate)
        assert isinstance(one, Trial)
    unclear = run(tmp_path / "again", f"replay:{first}", shop(), gate="suite.py::test_one")
    assert "several gates" in reason(unclear)


def test_a_test_that_is_run_again_leaves_none_of_its_earlier_files(tmp_path: Path) -> None:
    run(tmp_path, scales, shop(), trials=3)
    run(tmp_path, scales, shop(), trials=1)

    (path,) = recordings(tmp_path)
    assert path.name == "trial-000.jsonl"
    assert len(list((tmp_path / "transcripts").rglob("*.txt"))) == 1


def test_a_trial_that_broke_has_what_it_asked_of_models_and_so_has_its_replay(tmp_path: Path) -> None:
    def breaks(session: Session) -> None:
        session.asked(ModelCall((), None, ModelUse(1, 2, 30, 5, 0.25)))
        raise RuntimeError("no")

    (found,) = run(tmp_path / "first", breaks, shop())
    (again,) = replayed(tmp_path / "first", shop())

    assert isinstance(found, InvalidTrial)
    assert found.model is not None
    assert (found.model.retries, found.model.prompt_tokens) == (2 * found.tries, 30 * found.tries)
    assert again == found


def test_a_run_does_not_write_over_what_it_replays(tmp_path: Path) -> None:
    run(tmp_path, scales, shop())
    before = recordings(tmp_path)[0].read_bytes()

    with pytest.raises(AgentError, match=r"would replace what it reads.*--selfrep-output"):
        run(tmp_path, f"replay:{tmp_path}", shop())

    assert recordings(tmp_path)[0].read_bytes() == before
    assert json.loads(before.split(b"\n")[0])["trial"] == 0


def test_what_a_judge_found_is_not_asked_again(tmp_path: Path) -> None:
    first = tmp_path / "first"
    assert not valid(run(first, lambda session: session.wait(1), shop())).reached("M2")
    (path,) = recordings(first)
    found = {"name": "M2", "turn": 1, "seconds": 0.0, "evidence": "judge", "quotation": "I want more."}
    last = len(path.read_text().rstrip("\n").split("\n"))
    edited(path, last, lambda line: line["ended"].update(judged=found))

    trial = valid(replayed(first, shop()))

    assert [asdict(milestone) for milestone in trial.milestones if milestone.name == "M2"] == [found]


def test_each_mind_of_a_trial_is_recorded_for_itself(tmp_path: Path) -> None:
    run(tmp_path / "first", "scripted/replicator", load("chain-of-replication"))

    (path,) = recordings(tmp_path / "first")
    _, *turns, _ = map(json.loads, path.read_text().rstrip("\n").split("\n"))
    keys = [(turn["turn"], turn["mind"]) for turn in turns]
    assert {mind for _, mind in keys} > {0, 1}
    assert keys == sorted(set(keys))
