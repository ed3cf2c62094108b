"""Processes in the background: started, recognised, ended; never a stranger's."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from berth.errors import UnavailableError
from cli.local_processes import end_all, is_running, log_tail, start, uninterrupted
from cli.local_record import ProcessRecord


def a_record(folder: Path, *argv: str) -> ProcessRecord:
    return ProcessRecord("it", "agent", argv, {"MARK": "here"}, str(folder / "logs/it.log"))


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[ProcessRecord]:
    record = start(a_record(tmp_path, "sleep", "60"))
    yield record
    if is_running(record):
        os.kill(record.pid, signal.SIGKILL)
    os.waitpid(record.pid, 0)


def test_a_started_process_runs_in_a_session_of_its_own(sleeper: ProcessRecord) -> None:
    assert is_running(sleeper)
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_it_ends_when_asked(sleeper: ProcessRecord) -> None:
    assert end_all([sleeper], 5.0) == []
    assert not is_running(sleeper)


def test_a_frozen_one_ends_too(sleeper: ProcessRecord) -> None:
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert end_all([sleeper], 5.0) == []
    assert not is_running(sleeper)


def test_one_that_does_not_hear_is_killed_and_named(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.02; done"
    record = start(a_record(tmp_path, "sh", "-c", script))
    while "ready" not in Path(record.log).read_text():
        os.sched_yield()
    assert end_all([record], 0.2) == ["it"]
    assert not is_running(record)
    os.waitpid(record.pid, 0)


def test_a_stranger_with_the_same_pid_is_left_alone(sleeper: ProcessRecord) -> None:
    stranger = replace(sleeper, started_ticks=sleeper.started_ticks - 1)
    assert not is_running(stranger)
    assert end_all([stranger], 0.1) == []
    assert is_running(sleeper)


def test_streams_and_variables_reach_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_ETCD_PREFIX", "/of-the-users-shell/")
    record = start(a_record(tmp_path, "sh", "-c", "echo $MARK $BERTH_ETCD_PREFIX; echo bad >&2"))
    os.waitpid(record.pid, 0)
    assert log_tail(record) == "here\nbad"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="/no/such: No such file"):
        start(a_record(tmp_path, "/no/such"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_for_what_must_be_done_whole(number: signal.Signals) -> None:
    """Found by a Ctrl-C between the start of an agent and its record: nobody ended the agent."""
    done: list[str] = []

    def start_and_record() -> None:
        with uninterrupted():
            signal.raise_signal(number)
            done.append("recorded")
        done.append("went on")

    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            start_and_record()
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert done == ["recorded"]


def test_a_failure_within_is_told_rather_than_the_interruption() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(ValueError, match="disk"), uninterrupted():
            raise ValueError("disk")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
