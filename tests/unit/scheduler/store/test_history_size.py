"""A history that would be too large for etcd is stored without what is least."""

from dataclasses import replace

import pytest

from berth.model.task import FinishedTask, TaskState
from scheduler.core.service_state import ServiceState
from scheduler.store.commit_queue import REQUEST_BYTES_MAX
from scheduler.store.records import HISTORY_BYTES_MAX, decode_history, encode_history
from tests.builders import a_job
from tests.unit.scheduler.core.builders import SERVICE, a_record, ended

SLOTS = range(1, 9)
BYTES_MAX = HISTORY_BYTES_MAX // 256 * len(SLOTS)
"""As much a slot as where all of a shard's fail."""


def entries(slot: int, count: int, error_bytes: int) -> list[FinishedTask]:
    return [
        replace(
            ended(attempt=attempt, row=attempt),
            slot=slot,
            error="e" * error_bytes,
            container_id="c" * 64,
        )
        for attempt in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("attempts", "error_bytes", "kept"),
    [
        pytest.param(5, 500, (5, 500), id="nothing is left out while it fits"),
        pytest.param(5, 2000, (5, 2000), id="texts of the older ones go first"),
        pytest.param(120, 500, (60, 500), id="then the oldest"),
        pytest.param(3, 8000, (1, 0), id="then all texts"),
    ],
)
def test_a_shard_of_slots_that_all_fail(attempts: int, error_bytes: int, kept: tuple[int, int]):
    assert HISTORY_BYTES_MAX < REQUEST_BYTES_MAX
    service = ServiceState(a_record())
    service.history = {slot: entries(slot, attempts, error_bytes) for slot in SLOTS}
    value = encode_history(service, 0, BYTES_MAX)
    assert len(value) <= BYTES_MAX
    stored = decode_history(SERVICE, value)
    assert {entry.slot for entry in stored} == set(SLOTS)
    of_one = [entry for entry in stored if entry.slot == 7]
    assert (len(of_one), len(of_one[-1].error)) == kept
    assert [entry.attempt for entry in of_one] == list(range(1, attempts + 1))[-kept[0] :]
    assert (of_one[-1].state, of_one[-1].ends_in_row) == (TaskState.FAILED, attempts)
    assert service.history[7] == entries(7, attempts, error_bytes), "memory keeps all"


def test_what_completed_is_never_left_out() -> None:
    record = a_record(a_job(total=256))
    assert record.job is not None
    service = ServiceState(record)
    for slot in SLOTS:
        finished = entries(slot, 60, 500)
        finished[0] = replace(finished[0], state=TaskState.COMPLETE, counts_as_restart=False)
        service.history[slot] = finished
    stored = decode_history(SERVICE, encode_history(service, 0, BYTES_MAX))
    completed = {entry.slot for entry in stored if entry.state is TaskState.COMPLETE}
    assert completed == set(SLOTS), "or its slots would run again"
