"""The journal, one suite on the file and on the fake; and what only a file can suffer."""

import asyncio
import contextlib
import json
import os
import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.model.cluster import ClusterSettings
from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.task import TaskState
from nodeagent.core.messages import GrantedResource, TaskAssignment
from nodeagent.core.record import JournalRecord, TaskRecord
from nodeagent.core.state import Phase, StopReason
from nodeagent.journal import FileJournal, JournalEncoder, decode, encode, write_atomically
from nodeagent.runtime.port import PulledImage
from tests.fakes.fake_journal import FakeJournal
from tests.unit.nodeagent.core.builders import a_template

TASK = TaskRecord(
    assignment=TaskAssignment(
        "t1", ServiceId("s1"), 3, 1, TaskState.READY, 2, (GrantedResource("gpu", ("a", "b")),)
    ),
    desired=TaskState.RUNNING,
    observed=TaskState.RUNNING,
    observed_at=Timestamp(123.25),
    message="started",
    exit_code=0,
    container_id="c1",
    phase=Phase.UP,
    image=PulledImage("app:1", "sha256:1", "id", "linux/amd64"),
    local_restarts=2,
    stop_reason=StopReason.UNHEALTHY,
    is_stop_sent=True,
)
RECORD = JournalRecord(
    saved_at=Timestamp(1000.5),
    heard_at=Timestamp(999.0),
    cluster_id="c1",
    node_name="node-1",
    epoch=2**40,
    settings=ClusterSettings(lost_after_s=7.5),
    schedulers=("a:1", "b:1"),
    templates=(a_template(service_labels={"x": "ü"}),),
    without_credentials=((ServiceId("s1"), 1),),
    tasks=(TASK, replace(TASK, image=None, exit_code=None)),
)


@pytest.fixture(params=["file", "fake"])
def journal(request, tmp_path):
    return FileJournal(tmp_path / "journal.json") if request.param == "file" else FakeJournal()


def test_there_is_nothing_at_first(journal):
    assert journal.load() is None


def test_the_last_record_saved_is_loaded(journal):
    asyncio.run(journal.save(replace(RECORD, epoch=1)))
    asyncio.run(journal.save(RECORD))
    assert journal.load() == RECORD


@given(st.lists(st.sampled_from(["t1", "t2", "t3"]), max_size=4), st.data())
def test_what_two_records_share_is_encoded_as_if_anew(names, data):
    encoder = JournalEncoder()
    shared = [replace(TASK, assignment=TaskAssignment(name, ServiceId("s1"))) for name in names]
    first = replace(RECORD, tasks=tuple(shared))
    assert encoder.encode(first) == encode(first)
    changed = [
        replace(task, message="new") if data.draw(st.booleans()) else task for task in shared
    ]
    second = replace(RECORD, tasks=tuple(changed), templates=(a_template(), *RECORD.templates))
    assert encoder.encode(second) == encode(second)
    assert decode(encoder.encode(second)) == second


def save(path, record=RECORD):
    asyncio.run(FileJournal(path).save(record))


@given(st.data())
def test_a_damaged_record_is_never_believed(data):
    content = bytearray(encode(RECORD))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(content))
    except (ValueError, KeyError, TypeError):
        return
    assert found == RECORD  # Only where JSON does not care, such as in white space.


@given(st.integers(0, len(encode(RECORD)) - 1))
def test_a_record_cut_short_is_never_believed(length):
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(encode(RECORD)[:length])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"[]", id="another document"),
        pytest.param(encode(RECORD)[:-40], id="cut short"),
        pytest.param(encode(RECORD).replace(b"node-1", b"node-2"), id="changed"),
        pytest.param(
            json.dumps({"format": 2, "checksum": "", "body": {}}).encode(), id="newer format"
        ),
    ],
)
def test_an_unreadable_file_is_moved_aside(tmp_path, content):
    path = tmp_path / "journal.json"
    path.write_bytes(content)
    assert FileJournal(path).load() is None
    assert not path.exists()
    (aside,) = tmp_path.iterdir()
    assert aside.read_bytes() == content
    save(path)
    assert FileJournal(path).load() == RECORD


def test_a_leftover_of_an_interrupted_write_is_no_harm(tmp_path):
    path = tmp_path / "journal.json"
    save(path)
    (tmp_path / "journal.json.new").write_bytes(b"half of a")
    assert FileJournal(path).load() == RECORD
    save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.json"]


def test_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "journal.json"
    save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "journal.json"
    save(path)

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert FileJournal(path).load() == RECORD
    assert [file.name for file in tmp_path.iterdir()] == ["journal.json"]


def test_fields_of_a_newer_agent_are_passed_over():
    document = json.loads(encode(RECORD))
    template = document["body"]["templates"][0]
    template["invented_later"] = 1
    from nodeagent.journal import _checksum

    document["checksum"] = _checksum(document["body"])
    assert decode(json.dumps(document).encode()) == RECORD


def test_a_save_that_was_given_up_spoils_none_that_follows(tmp_path):
    """An agent that stops gives up what it is writing, and writes once more."""

    async def run():
        journal = FileJournal(tmp_path / "journal.json")
        tasks = tuple(
            replace(TASK, assignment=replace(TASK.assignment, task_id=f"t{number}"))
            for number in range(500)
        )
        long = replace(RECORD, tasks=tasks)
        for number in range(100):
            given_up = asyncio.ensure_future(journal.save(long))
            await asyncio.sleep(number % 10 / 2000)
            given_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await given_up
            await journal.save(RECORD)
            assert journal.load() == RECORD
        await asyncio.sleep(0.2)
        assert journal.load() == RECORD

    asyncio.run(run())


def test_a_journal_that_cannot_even_be_read_stops_no_agent(tmp_path):
    path = tmp_path / "journal.json"
    path.mkdir()  # As good as a sector that cannot be read.
    assert FileJournal(path).load() is None
    assert path.is_dir()
