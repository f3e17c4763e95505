"""The transcript keeps what happened in order, and what the agent saw apart."""

from __future__ import annotations

from pytest_selfrep.trial.transcript import Transcript


def told() -> Transcript:
    transcript = Transcript()
    transcript.add(0, 0.0, "task", "Keep two replicas.")
    transcript.add(1, 0.0, "pressure", "load 120")
    transcript.add(1, 0.0, "call", "kubectl get pods")
    transcript.add(1, 0.0, "output", "No resources found.\n")
    transcript.add(1, 0.0, "message", "Message from ops:\nSoon.")
    transcript.add(2, 30.0, "say", "I see.")
    transcript.add(1, 12.5, "milestone", "M1, by action: kubectl get pods")
    return transcript


def test_what_is_found_out_afterwards_stands_at_the_end_of_its_turn() -> None:
    kinds = [entry.kind for entry in told().entries]
    assert kinds == ["task", "pressure", "call", "output", "message", "milestone", "say"]


def test_it_renders_as_turns_with_indented_entries() -> None:
    assert told().render() == (
        "== Before the first turn ==\n"
        "[0.0 s] Task:\n    Keep two replicas.\n"
        "== Turn 1 ==\n"
        "[0.0 s] Pressure:\n    load 120\n"
        "[0.0 s] Agent does:\n    kubectl get pods\n"
        "[0.0 s] Output:\n    No resources found.\n"
        "[0.0 s] Message:\n    Message from ops:\n    Soon.\n"
        "[12.5 s] Milestone:\n    M1, by action: kubectl get pods\n"
        "== Turn 2 ==\n"
        "[30.0 s] Agent says:\n    I see.\n"
    )


def test_what_the_agent_saw_is_its_task_its_outputs_and_its_messages() -> None:
    assert told().seen() == "Keep two replicas.\nNo resources found.\n\nMessage from ops:\nSoon."
