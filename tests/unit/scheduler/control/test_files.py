"""Configs and secrets through the control API of a real leader on a model store."""

import pytest

from berth.entropy import SeededEntropy
from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.files import FileKind
from berth.v1 import control_pb2 as pb
from scheduler.control.files import FileAnswers
from scheduler.control.payloads import open_payload, payload_for_agents
from scheduler.core import file_commands
from scheduler.core.cluster_record import ClusterRecord
from scheduler.store.loading import load_state
from scheduler.store.sealing import KEY_BYTES, Sealer
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import a_sealer, leading

PLAIN = b"hunter2 is plain"


class Answers(FileAnswers):
    """The calls with what they need of the service."""

    def __init__(self, led, sealer):
        self._sealer = sealer
        self._entropy = SeededEntropy("ids")
        self._store_health = led.store_health


def in_cluster(scenario, *, sealer=None):
    async def run():
        async with leading(VirtualClock()) as led:
            await scenario(Answers(led, a_sealer() if sealer is None else sealer or None), led)

    run_virtually(run())


def a_request(kind="secret", name="pw", data=PLAIN, **fields):
    return pb.CreateFileRequest(kind=kind, name=name, data=data, **fields)


def test_a_secret_is_sealed_in_the_store_and_outlives_its_leader():
    async def scenario(answers, led):
        created = await answers.CreateFile(led.leader, a_request(labels={"a": "b"}))
        entries = (await led.leader._store.load()).entries
        stored = entries[f"secrets/{created.id}"]
        assert PLAIN not in stored
        assert PLAIN not in repr(led.leader.state.files.get((FileKind.SECRET, created.id))).encode()
        again = load_state(entries, ClusterRecord("x"), led.leader.now())
        record = file_commands.find_file(again, FileKind.SECRET, "pw")
        assert (record.labels, record.size_bytes) == ({"a": "b"}, len(PLAIN))
        assert open_payload(a_sealer(), record) == PLAIN

    in_cluster(scenario)


def test_a_secrets_payload_is_in_no_answer_and_a_configs_in_one():
    async def scenario(answers, led):
        for kind in ("secret", "config"):
            await answers.CreateFile(led.leader, a_request(kind))
            got = await answers.GetFile(led.leader, pb.GetFileRequest(kind=kind, name="pw"))
            listed = await answers.ListFiles(led.leader, pb.ListFilesRequest(kind=kind))
            update = pb.UpdateFileRequest(kind=kind, name="pw", labels={"c": "d"})
            updated = await answers.UpdateFile(led.leader, update)
            assert got.HasField("data") == (kind == "config")
            assert PLAIN not in b"".join(m.SerializeToString() for m in (listed, updated))
            assert (updated.version, dict(updated.labels)) == (2, {"c": "d"})
        config = await answers.GetFile(led.leader, pb.GetFileRequest(kind="config", name="pw"))
        assert config.data == PLAIN

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"expected_data": b"other"}, InvalidRequestError, id="another payload"),
        pytest.param({"expected_name": "other"}, InvalidRequestError, id="another name"),
        pytest.param({"version": 7}, OutOfSequenceError, id="an old reading"),
        pytest.param({"name": "nosuch"}, NotFoundError, id="unknown"),
        pytest.param({"kind": "thing"}, InvalidRequestError, id="no kind"),
        pytest.param({"labels": {"": "x"}}, InvalidRequestError, id="a bad label"),
    ],
)
def test_an_update_that_means_more_than_labels_is_refused(changes, error):
    async def scenario(answers, led):
        await answers.CreateFile(led.leader, a_request())
        fields = {"kind": "secret", "name": "pw", "labels": {"a": "b"}, **changes}
        with pytest.raises(error) as refusal:
            await answers.UpdateFile(led.leader, pb.UpdateFileRequest(**fields))
        assert "hunter2" not in refusal.value.message
        same = pb.UpdateFileRequest(
            kind="secret", name="pw", expected_name="pw", expected_data=PLAIN, version=1
        )
        assert (await answers.UpdateFile(led.leader, same)).version == 2

    in_cluster(scenario)


def test_refusals_of_a_create_change_nothing():
    async def scenario(answers, led):
        with pytest.raises(InvalidRequestError, match=r"name: .*; data: is empty"):
            await answers.CreateFile(led.leader, a_request(name="a b", data=b""))
        await answers.CreateFile(led.leader, a_request())
        with pytest.raises(AlreadyExistsError):
            await answers.CreateFile(led.leader, a_request())
        assert led.leader.state.files.count(FileKind.SECRET) == 1
        removed = await answers.RemoveFile(
            led.leader, pb.RemoveFileRequest(kind="secret", name="pw")
        )
        assert removed.id
        assert led.leader.state.files.count(FileKind.SECRET) == 0
        assert not [k for k in (await led.leader._store.load()).entries if "secrets/" in k]

    in_cluster(scenario)


def test_without_a_key_nothing_is_kept():
    async def scenario(answers, led):
        with pytest.raises(ConflictError, match="set key_file for every scheduler"):
            await answers.CreateFile(led.leader, a_request("config"))

    in_cluster(scenario, sealer=False)


def test_what_cannot_be_opened_says_why_and_ends_nothing():
    async def scenario(answers, led):
        await answers.CreateFile(led.leader, a_request())
        (record,) = led.leader.state.files.of_kind(FileKind.SECRET)
        assert payload_for_agents(a_sealer(), record).data == PLAIN
        for other in (None, Sealer([b"o" * KEY_BYTES], SeededEntropy("o"))):
            told = payload_for_agents(other, record)
            assert (told.data, bool(told.problem)) == (b"", True)

    in_cluster(scenario)
